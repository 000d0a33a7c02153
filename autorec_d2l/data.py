"""MovieLens as tables, splits and matrices.

In a matrix 0 means "not rated", which is safe because a rating is 1 to 5 stars.
The names are those of the recommender chapter of Dive into Deep Learning (d2l.ai).
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from autorec_d2l.batches import load_array
from autorec_d2l.download import fetch
from autorec_d2l.scale import STARS, Scale
from autorec_d2l.tables import parse_items, parse_ratings

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

logger = logging.getLogger(__name__)

FOLDS = ("u1", "u2", "u3", "u4", "u5")
_SHA256 = {
    "u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
    "u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
}


def read_data_ml100k() -> tuple[pd.DataFrame, int, int]:
    """Read MovieLens-100K: ``(data, num_users, num_items)`` = (100,000 ratings, 943, 1682).

    Columns ``user_id`` and ``item_id`` (from 1), ``rating`` (1 to 5 stars) and ``timestamp``
    (seconds since 1970), in the row order of GroupLens' ``u.data``.
    Source: Harper and Konstan (2015). Raises what :func:`autorec_d2l.download.fetch` raises, and
    ``ValueError`` naming a faulty row.
    """
    folder = fetch("ml-100k")
    if (folder / "ml-100k.inter").is_file():  # recbole's copy is u.data below one header line
        raw = _read_bytes(folder, "ml-100k.inter").partition(b"\n")[2]
    else:
        raw = _read_bytes(folder, "u.data")
    num_users, num_items = 943, 1682
    return parse_ratings(raw, "ml-100k/u.data", num_users, num_items), num_users, num_items


def read_items_ml100k() -> pd.DataFrame:
    """Read the 1682 films of MovieLens-100K: ``item_id, title, year, genres``.

    The table is the same whichever source served. The year is the one in the film's title;
    one row (``unknown``) has none. Genres are joined by ``|``.
    """
    folder = fetch("ml-100k")
    file = "ml-100k.item" if (folder / "ml-100k.item").is_file() else "u.item"
    return parse_items(_read_bytes(folder, file), f"ml-100k/{file}", num_items=1682)


def read_data_ml1m() -> tuple[pd.DataFrame, int, int]:
    """Read MovieLens-1M: ``(data, num_users, num_items)`` = (1,000,209 ratings, 6040, 3706).

    Columns as in :func:`read_data_ml100k`; ids are renumbered from 1 without gaps, in the order
    of the original ids, which are kept in ``original_user_id`` and ``original_item_id``.
    """
    raw = _read_bytes(fetch("ml-1m"), "ratings.dat")
    data = parse_ratings(raw, "ml-1m/ratings.dat", 6040, 3952, separator="::")
    for kind in ("user", "item"):
        data[f"original_{kind}_id"] = data[f"{kind}_id"]
        data[f"{kind}_id"] = data[f"{kind}_id"].rank(method="dense").astype("int64")
    return data, int(data["user_id"].max()), int(data["item_id"].max())


def split_data_ml100k(
    data: pd.DataFrame,
    num_users: int,
    num_items: int,
    split_mode: str = "random",
    test_ratio: float = 0.1,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split ratings into ``(train_data, test_data)``; rows keep their order and index.

    ``random``
        ``test_ratio`` of the rows, drawn with ``seed``, are the test data.
    ``seq-aware``
        The last rating of each user is the test data (``test_ratio`` and ``seed`` are unused).
        Of several with the same last timestamp it is the first row, as in d2l.
    ``u1`` ... ``u5``
        GroupLens' five folds: rows 1 to 20,000 of ``u.data`` are the test data of ``u1``, and
        so on. They need the whole of MovieLens-100K.

    Raises ``ValueError`` for an unknown mode, a ``test_ratio`` outside (0, 1), a fold of other
    data, ids beyond ``num_users`` and ``num_items``, and an empty part.
    """
    _check_ids(data, num_users, num_items)
    _check_pairs(data)
    if split_mode == "random":
        if not 0 < test_ratio < 1:
            raise ValueError(f"test_ratio must lie between 0 and 1, got {test_ratio}")
        # RandomState, whose stream numpy has frozen, so that a seed names the same split for ever.
        order = np.random.RandomState(seed).permutation(len(data))
        is_test = np.zeros(len(data), dtype=bool)
        is_test[order[: round(test_ratio * len(data))]] = True
    elif split_mode == "seq-aware":
        last = data.reset_index(drop=True).groupby("user_id")["timestamp"].idxmax()
        is_test = np.isin(np.arange(len(data)), last)
    elif split_mode in FOLDS:
        if len(data) != 100_000:
            raise ValueError(
                f"split_mode {split_mode!r} is a fold of the 100,000 rows of MovieLens-100K, "
                f"got {len(data):,} rows; use 'random' for other data"
            )
        is_test = np.arange(len(data)) // 20_000 == FOLDS.index(split_mode)
    else:
        modes = ", ".join(("random", "seq-aware", *FOLDS))
        raise ValueError(f"split_mode must be one of {modes}, got {split_mode!r}")
    train_data, test_data = data[~is_test], data[is_test]
    for part, rows in (("train", train_data), ("test", test_data)):
        if rows.empty:
            raise ValueError(f"the {part} part of {len(data):,} ratings is empty ({split_mode=})")
    return train_data, test_data


def rating_triples(
    data: pd.DataFrame, num_users: int, num_items: int, scale: Scale = STARS
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a table of ratings as ``(users, items, scores)``, each ``(num_ratings,)``.

    ``users`` and ``items`` are indices from 0, int64; ``scores`` are stars, float32.

    Raises ``ValueError`` for an empty table, ids out of range, a pair that is there twice and a
    rating off the ``scale``.
    """
    users, items = pair_indices(data, num_users, num_items)
    _check_pairs(data)
    scores = data["rating"].to_numpy("float32", copy=True)
    scale.check(scores, "rating")
    return users, items, torch.from_numpy(scores)


def pair_indices(
    data: pd.DataFrame, num_users: int, num_items: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the users and the items of a table as indices from 0, each ``(num_rows,)``, int64.

    Raises ``ValueError`` for an empty table and ids out of range.
    """
    _check_ids(data, num_users, num_items)
    return tuple(torch.tensor(data[name].to_numpy() - 1) for name in ("user_id", "item_id"))


def load_data_ml100k(
    data: pd.DataFrame, num_users: int, num_items: int, feedback: str = "explicit"
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Load a table of ratings into tensors ``(users, items, scores, inter)``.

    ``users`` and ``items`` are indices from 0, int64, ``(num_ratings,)``; ``scores`` are float32,
    ``(num_ratings,)``: stars for ``feedback='explicit'``, ones for ``'implicit'``; ``inter`` is
    the interaction matrix, float32, ``(num_items, num_users)``, 0 where there is no rating.

    Raises ``ValueError`` for other ``feedback``, an empty table, ids out of range and a pair that
    is there twice.
    """
    if feedback not in ("explicit", "implicit"):
        raise ValueError(f"feedback must be 'explicit' or 'implicit', got {feedback!r}")
    users, items, scores = rating_triples(data, num_users, num_items)
    if feedback == "implicit":
        scores = torch.ones_like(scores)
    inter = torch.zeros(num_items, num_users)
    inter[items, users] = scores
    return users, items, scores, inter


def split_and_load_ml100k(
    split_mode: str = "seq-aware",
    feedback: str = "explicit",
    test_ratio: float = 0.1,
    batch_size: int = 256,
    seed: int = 0,
) -> tuple[int, int, DataLoader, DataLoader]:
    """Read, split and load MovieLens-100K: ``(num_users, num_items, train_iter, test_iter)``.

    Both iterators give ``(users, items, scores)``, each ``(batch,)``. Note the default of
    ``split_mode``, which is d2l's: ``test_ratio`` counts only for ``random``.
    """
    data, num_users, num_items = read_data_ml100k()
    parts = split_data_ml100k(data, num_users, num_items, split_mode, test_ratio, seed)
    train_arrays, test_arrays = (
        load_data_ml100k(part, num_users, num_items, feedback)[:3] for part in parts
    )
    train_iter = load_array(train_arrays, batch_size, seed=seed, last_batch="rollover")
    test_iter = load_array(test_arrays, batch_size, is_train=False)
    return num_users, num_items, train_iter, test_iter


def _read_bytes(folder: Traversable, file: str) -> bytes:
    """Read one table; of a table that the user placed, say how it is checked."""
    try:
        raw = (folder / file).read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{folder} has no {file}: unpack the whole archive there, or remove the folder"
        ) from error
    if isinstance(folder, Path):
        is_original = hashlib.sha256(raw).hexdigest() == _SHA256.get(file)
        logger.info(
            "%s: %s",
            file,
            "verified by SHA-256" if is_original else "checked row by row, not by hash",
        )
    return raw


def _check_ids(data: pd.DataFrame, num_users: int, num_items: int) -> None:
    """Refuse an empty table and ids out of range before they are indices."""
    if data.empty:
        raise ValueError("the table of ratings is empty")
    for column, limit in (("user_id", num_users), ("item_id", num_items)):
        outside = data.index[~data[column].between(1, limit)]
        if len(outside):
            raise ValueError(
                f"{column} must be 1 to {limit}, got {data.at[outside[0], column]} "
                f"at index {outside[0]} of the table"
            )


def _check_pairs(data: pd.DataFrame) -> None:
    """Refuse a user's second rating of an item."""
    twice = data.index[data.duplicated(["user_id", "item_id"])]
    if len(twice):
        user, item = data.loc[twice[0], ["user_id", "item_id"]]
        raise ValueError(f"user {user} rates item {item} a second time at index {twice[0]}")
