"""Split a table of ratings into training and test data, in d2l's modes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from autorec_d2l.data.validation import check_ids, check_integer, check_pairs, column_of

FOLDS = ("u1", "u2", "u3", "u4", "u5")


def split_data_ml100k(
    data: pd.DataFrame,
    num_users: int,
    num_items: int,
    split_mode: str = "random",
    test_ratio: float = 0.1,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split ratings into training and test data.

    Args:
        data: Columns ``user_id`` and ``item_id``, integers from 1.
        num_users: The highest possible ``user_id``.
        num_items: The highest possible ``item_id``.
        split_mode: What becomes test data.

            ``random``
                ``test_ratio`` of the rows, drawn with ``seed``.
            ``seq-aware``
                The last rating of each user, by the column ``timestamp``; among equal last
                timestamps the first row, as in d2l.
            ``u1`` ... ``u5``
                GroupLens' five folds of MovieLens-100K: rows 1 to 20,000 of ``u.data`` are the
                test data of ``u1``, and so on.
        test_ratio: The fraction of test data, between 0 and 1; for ``random`` only.
        seed: For ``random`` only. A seed gives the same split on every machine.

    Returns:
        ``(train_data, test_data)``, whose rows keep their order and index.

    Raises:
        ValueError: An unknown mode, a ratio outside (0, 1), a fold of other data, a column that
            is missing or not numeric, an id out of range, a duplicate pair, and an empty part.

    Example:
        ``train_data, test_data = split_data_ml100k(data, 943, 1682, "u1")``
    """
    check_pairs(*check_ids(data, num_users, num_items))
    if split_mode == "random":
        is_test = _random(len(data), test_ratio, seed)
    elif split_mode == "seq-aware":
        is_test = _last_of_each_user(data)
    elif split_mode in FOLDS:
        is_test = _fold(len(data), split_mode)
    else:
        modes = ", ".join(("random", "seq-aware", *FOLDS))
        raise ValueError(f"split_mode must be one of {modes}, got {split_mode!r}")
    train_data, test_data = data[~is_test], data[is_test]
    for part, rows in (("train", train_data), ("test", test_data)):
        if rows.empty:
            raise ValueError(f"the {part} part of {len(data):,} ratings is empty ({split_mode=})")
    return train_data, test_data


def _random(num_rows: int, test_ratio: float, seed: int) -> np.ndarray:
    if not 0 < test_ratio < 1:
        raise ValueError(f"test_ratio must lie between 0 and 1, got {test_ratio!r}")
    # The stream of RandomState is frozen, so that a seed gives the same split in every version.
    order = np.random.RandomState(check_integer(seed, "seed", 0)).permutation(num_rows)
    return np.isin(np.arange(num_rows), order[: round(float(test_ratio) * num_rows)])


def _last_of_each_user(data: pd.DataFrame) -> np.ndarray:
    times = pd.Series(column_of(data, "timestamp"))
    if times.hasnans:
        raise ValueError(f"timestamp is missing in data.iloc[{times.isna().argmax()}]")
    last = times.groupby(data["user_id"].to_numpy()).idxmax()
    return np.isin(np.arange(len(data)), last)


def _fold(num_rows: int, fold: str) -> np.ndarray:
    if num_rows != 100_000:
        raise ValueError(
            f"split_mode {fold!r} is a fold of the 100,000 rows of MovieLens-100K, "
            f"got {num_rows:,} rows; use 'random' for other data"
        )
    return np.arange(num_rows) // 20_000 == FOLDS.index(fold)


class Parts(NamedTuple):
    """A split into a training and a test part; the training part is split once more."""

    train_data: pd.DataFrame
    test_data: pd.DataFrame
    fit_data: pd.DataFrame  # nine tenths of train_data, for trials
    valid_data: pd.DataFrame  # the last tenth, on which they are evaluated
    sizes: tuple[int, int]  # (num_users, num_items)


def split_parts(
    ratings: tuple[pd.DataFrame, int, int], mode: str = "random", split: int = 0
) -> Parts:
    """Split the ratings of :func:`read_data_ml100k` for training, validation and test.

    ``mode`` is one of :func:`split_data_ml100k`; ``split`` is its seed, and ``1000 + split`` that
    of the validation part.
    """
    data, num_users, num_items = ratings
    sizes = num_users, num_items
    train_data, test_data = split_data_ml100k(data, *sizes, mode, 0.1, seed=int(split))
    halves = split_data_ml100k(train_data, *sizes, "random", 0.1, seed=1000 + int(split))
    return Parts(train_data, test_data, *halves, sizes)
