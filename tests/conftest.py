"""What several test files share: ratings, real and made up, a browser, and one thread."""

import numpy as np
import pandas as pd
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


@pytest.fixture
def ratings():
    """A hundred ratings by 12 users of 15 items, in no order: `(data, num_users, num_items)`."""
    users, items = np.divmod(np.random.RandomState(0).permutation(12 * 15)[:100], 15)
    stars = 1 + (users + items) % 5
    return pd.DataFrame({"user_id": users + 1, "item_id": items + 1, "rating": stars}), 12, 15


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests of a process, or a skip that says why."""
    from chromium import chromium  # needs playwright, which other tests do without

    with chromium() as browser:
        yield browser
