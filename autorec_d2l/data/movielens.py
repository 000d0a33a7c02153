"""MovieLens as tables, from whichever source has it, checked."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from autorec_d2l.data.download import fetch
from autorec_d2l.data.parsing import parse_items, parse_ratings

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

logger = logging.getLogger(__name__)

_NUM_RATINGS = {"ml-100k": 100_000, "ml-1m": 1_000_209}
_FIRST_RATING = 874_724_710  # of MovieLens-100K, in seconds since 1970
_SHA256 = {
    "u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
    "u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
}


def read_data_ml100k() -> tuple[pd.DataFrame, int, int]:
    """Read MovieLens-100K (Harper and Konstan, 2015), downloading it where it is missing.

    Returns:
        ``(data, num_users, num_items)``: 100,000 rows in GroupLens' order, 943 and 1682. Columns
        ``user_id, item_id`` (from 1), ``rating`` (1 to 5), ``timestamp`` (seconds since 1970).

    Raises:
        OSError: No source has the data, or the data folder cannot be used.
        ValueError: A faulty row, which is named, a table that is cut off, or a wrong archive.

    Example:
        ``data, num_users, num_items = read_data_ml100k()``
    """
    folder = fetch("ml-100k")
    if (folder / "ml-100k.inter").is_file():  # recbole's copy is u.data below one header line
        raw = _read_bytes(folder, "ml-100k.inter").partition(b"\n")[2]
    else:
        raw = _read_bytes(folder, "u.data")
    num_users, num_items = 943, 1682
    data = parse_ratings(raw, "ml-100k/u.data", num_users, num_items)
    _check_whole(data, "ml-100k", data["timestamp"].min() >= _FIRST_RATING)
    return data, num_users, num_items


def read_items_ml100k() -> pd.DataFrame:
    """Read the 1682 films of MovieLens-100K: ``item_id, title, year, genres``.

    The year is the one in the title; one row (``unknown``) has none. ``|`` joins genres.
    """
    folder = fetch("ml-100k")
    file = "ml-100k.item" if (folder / "ml-100k.item").is_file() else "u.item"
    return parse_items(_read_bytes(folder, file), f"ml-100k/{file}", num_items=1682)


def read_data_ml1m() -> tuple[pd.DataFrame, int, int]:
    """Read MovieLens-1M: ``(data, num_users, num_items)`` = (1,000,209 ratings, 6040, 3706).

    Columns as in :func:`read_data_ml100k`. Ids are renumbered from 1 without gaps; the original
    ones, in the same order, are kept in ``original_user_id`` and ``original_item_id``.
    """
    raw = _read_bytes(fetch("ml-1m"), "ratings.dat")
    data = parse_ratings(raw, "ml-1m/ratings.dat", 6040, 3952, separator="::")
    _check_whole(data, "ml-1m")
    for kind in ("user", "item"):
        data[f"original_{kind}_id"] = data[f"{kind}_id"]
        data[f"{kind}_id"] = data[f"{kind}_id"].rank(method="dense").astype("int64")
    return data, int(data["user_id"].max()), int(data["item_id"].max())


def _check_whole(data: pd.DataFrame, name: str, has_whole_timestamps: bool = True) -> None:
    """Refuse a table that ends too early, between two rows or in the last timestamp."""
    if len(data) != _NUM_RATINGS[name] or not has_whole_timestamps:
        raise ValueError(
            f"{name} has {_NUM_RATINGS[name]:,} ratings, this table has {len(data):,} and is cut "
            "off, perhaps in its last row. Delete the file to download the original."
        )


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
