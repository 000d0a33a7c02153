"""What several test files share: the real MovieLens-100K, read once, and one thread."""

import pytest
import torch

import autorec_d2l as d2l


def pytest_configure():
    """Use one thread: the matrices are small, and threads that wait for a busy core are slow."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def ml100k():
    try:
        return d2l.read_data_ml100k()  # (data, num_users, num_items)
    except d2l.DataUnavailableError as error:
        pytest.skip(str(error))
