"""Read MovieLens as tables, from the first source that has it."""

from __future__ import annotations

import hashlib
import logging

import pandas as pd

from autorec_d2l.data.download import fetch
from autorec_d2l.data.parsing import parse_items, parse_ratings

logger = logging.getLogger(__name__)

_NUM_RATINGS = {"ml-100k": 100_000, "ml-1m": 1_000_209}
_SHA256 = "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"  # of u.data


def read_data_ml100k() -> tuple[pd.DataFrame, int, int]:
    """Read MovieLens-100K (Harper and Konstan, 2015), downloading it where it is missing.

    Returns:
        ``(data, num_users, num_items)``: 100,000 rows in GroupLens' order, 943 and 1682. Columns
        ``user_id, item_id`` (from 1), ``rating`` (1 to 5), ``timestamp`` (seconds since 1970).

    Raises:
        OSError: No source could provide the data, or an unpacked folder lacks the table.
        ValueError: A faulty row, which is named, a table that is cut off, or a wrong archive.

    Example:
        ``data, num_users, num_items = read_data_ml100k()``
    """
    folder = fetch("ml-100k")
    if (folder / "ml-100k.inter").is_file():  # recbole's copy is u.data below one header line
        raw = (folder / "ml-100k.inter").read_bytes().partition(b"\n")[2]
    else:
        raw = (folder / "u.data").read_bytes()
    if hashlib.sha256(raw).hexdigest() != _SHA256:  # of an unpacked table
        logger.warning("%s has another u.data than the published one, and other results", folder)
    data = parse_ratings(raw, "ml-100k/u.data", 943, 1682)
    _check_whole(data, "ml-100k")
    return data, 943, 1682


def read_items_ml100k() -> pd.DataFrame:
    """Read the 1682 films of MovieLens-100K: ``item_id, title, year, genres``.

    The year is the one in the title; one row (``unknown``) has none. ``|`` joins genres.
    """
    folder = fetch("ml-100k")
    file = "ml-100k.item" if (folder / "ml-100k.item").is_file() else "u.item"
    return parse_items((folder / file).read_bytes(), f"ml-100k/{file}", num_items=1682)


def read_data_ml1m() -> tuple[pd.DataFrame, int, int]:
    """Read MovieLens-1M: ``(data, num_users, num_items)`` = (1,000,209 ratings, 6040, 3706).

    Columns as in :func:`read_data_ml100k`; rows are sorted by user and item, so that a split is
    the same for every order of the file. Ids are renumbered from 1 without gaps; the original
    ones, in the same order, are kept in ``original_user_id`` and ``original_item_id``.
    """
    raw = (fetch("ml-1m") / "ratings.dat").read_bytes()
    data = parse_ratings(raw, "ml-1m/ratings.dat", 6040, 3952, separator="::")
    _check_whole(data, "ml-1m")
    data = data.sort_values(["user_id", "item_id"], ignore_index=True)
    for kind in ("user", "item"):
        data[f"original_{kind}_id"] = data[f"{kind}_id"]
        data[f"{kind}_id"] = data[f"{kind}_id"].rank(method="dense").astype("int64")
    return data, int(data["user_id"].max()), int(data["item_id"].max())


def _check_whole(data: pd.DataFrame, name: str) -> None:
    """Raise ``ValueError`` for a table that is cut off."""
    if len(data) != _NUM_RATINGS[name]:
        raise ValueError(
            f"{name} has {_NUM_RATINGS[name]:,} ratings, this table has {len(data):,} and is cut "
            "off: delete the file to download the original"
        )
