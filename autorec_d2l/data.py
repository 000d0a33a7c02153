"""MovieLens as tables, tensors and matrices.

In a matrix 0 means "not rated", which is safe because a rating is 1 to 5 stars.
The names are those of the recommender chapter of Dive into Deep Learning (d2l.ai).
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch.utils.data import DataLoader

from autorec_d2l.batches import as_tensors, load_array
from autorec_d2l.checks import check_ids, check_pairs, column_of
from autorec_d2l.download import fetch
from autorec_d2l.scale import STARS, Scale
from autorec_d2l.splits import split_data_ml100k
from autorec_d2l.tables import parse_items, parse_ratings

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

logger = logging.getLogger(__name__)

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


def rating_triples(
    data: pd.DataFrame, num_users: int, num_items: int, scale: Scale = STARS
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a table of ratings as ``(users, items, scores)``, each ``(num_ratings,)``.

    ``users`` and ``items`` are indices from 0, int64; ``scores`` are stars, float32. The table may
    hold any number types. Raises what :func:`load_data_ml100k` raises.
    """
    users, items = check_ids(data, num_users, num_items)
    check_pairs(users, items)
    [scores] = as_tensors(column_of(data, "rating"))
    scale.check(scores, "rating", lambda i: f"user {users[i]}, item {items[i]}, data.iloc[{i}]")
    return torch.from_numpy(users - 1), torch.from_numpy(items - 1), scores.float()


def pair_indices(
    data: pd.DataFrame, num_users: int, num_items: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the users and the items of a table as indices from 0, each ``(num_rows,)``, int64.

    The table needs no ratings, and may name a pair more than once. Raises ``ValueError`` for an
    empty table and ids out of range.
    """
    return tuple(torch.from_numpy(ids - 1) for ids in check_ids(data, num_users, num_items))


def load_data_ml100k(
    data: pd.DataFrame,
    num_users: int,
    num_items: int,
    feedback: str = "explicit",
    scale: Scale = STARS,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Load a table of ratings into tensors.

    Args:
        data: Columns ``user_id`` and ``item_id``, whole numbers from 1, and ``rating``.
        num_users: The highest ``user_id`` that there can be.
        num_items: The highest ``item_id`` that there can be.
        feedback: ``"explicit"`` loads the ratings; ``"implicit"`` loads ones, whatever the
            ratings are.
        scale: What ratings can be, above 0.

    Returns:
        ``(users, items, scores, inter)``: indices from 0, int64, and ratings, float32, each
        ``(num_ratings,)``, and the interaction matrix, float32, ``(num_items, num_users)``, 0
        where there is no rating.

    Raises:
        ValueError: Another ``feedback``, an empty table, a column that is missing or no numbers,
            an id out of range, a pair that is there twice, a rating off the ``scale``, and a
            ``scale`` that goes down to 0 or below.

    Example:
        ``users, items, scores, inter = load_data_ml100k(data, 943, 1682)``
    """
    if feedback not in ("explicit", "implicit"):
        raise ValueError(f"feedback must be 'explicit' or 'implicit', got {feedback!r}")
    if feedback == "implicit":
        data, scale = pd.DataFrame(data).assign(rating=1), STARS
    scale.check_dense()
    users, items, scores = rating_triples(data, num_users, num_items, scale)
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
