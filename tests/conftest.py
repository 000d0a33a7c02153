"""The real MovieLens-100K, read once for all tests that need it."""

import pytest

import autorec_d2l as d2l


@pytest.fixture(scope="session")
def ml100k():
    try:
        return d2l.read_data_ml100k()  # (data, num_users, num_items)
    except d2l.DataUnavailableError as error:
        pytest.skip(str(error))
