"""From anybody's table to ratings that the models take, without losing one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from autorec_d2l.custom.columns import KINDS
from autorec_d2l.custom.ids import Ids, number
from autorec_d2l.custom.reader import Table, read_table
from autorec_d2l.data.loaders import as_tensors
from autorec_d2l.data.rating_scale import RatingScale


def rating_scale_of(ends: Sequence[float] | RatingScale) -> RatingScale:
    """Return a scale that contains every number between two ends ``(low, high)``.

    Raises ``ValueError`` for anything else, and for ends in the wrong order.
    """
    try:
        ends = (ends.low, ends.high) if isinstance(ends, RatingScale) else ends
        low, high = map(float, ends)
    except (TypeError, ValueError) as error:
        raise ValueError(f"scale must be (low, high), as scale=(0.5, 5), got {ends!r}") from error
    return RatingScale(low, high, step=0)


@dataclass(frozen=True)
class Ratings:
    """Checked ratings: a table with ids from 1, and what these ids and the ratings are outside.

    ``data`` has the columns that the rest of the library takes: ``user_id`` and ``item_id``, int32,
    from 1 without gaps in the order in which they come in the table, ``rating`` in the reader's
    units, and ``timestamp`` in seconds where there is one. ``users`` and ``items`` are the reader's
    own ids. All rows of the table are there, in its order.
    """

    data: pd.DataFrame
    users: Ids
    items: Ids
    scale: RatingScale

    @property
    def sizes(self) -> tuple[int, int]:
        """Return ``(num_users, num_items)``."""
        return len(self.users), len(self.items)


def read_ratings(
    source: str | os.PathLike | pd.DataFrame,
    *,
    user: str | int | None = None,
    item: str | int | None = None,
    rating: str | int | None = None,
    timestamp: str | int | bool | None = None,
    scale: Sequence[float] | RatingScale | None = None,
    keep: str | None = None,
    separator: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    verbose: bool = True,
) -> Ratings:
    """Read ratings from a table of any form.

    Args:
        source: A file (CSV, TSV, ``::`` and the like, compressed or not; parquet), or a DataFrame.
        user: The column of the users, by its name or its place from 0. Usual names, such as
            ``userId``, are found; without a header the order is user, item, rating, timestamp.
        item: The column of the items, in the same way.
        rating: The column of the ratings. 0 and negative numbers are ratings like others.
        timestamp: The column of the times, seconds or dates; ``False`` leaves it alone.
        scale: The lowest and the highest rating that can be; those of the table if not given.
        keep: What becomes of a second rating of an item by a user: an error (``None``), or one of
            them stays, the ``"first"`` or the ``"last"``, by time where there is a timestamp and
            else by row.
        separator: What stands between fields; found if not given.
        header: Whether the first row has names; found if not given.
        encoding: Of a text; UTF-8 or UTF-16 and else Latin-1 if not given.
        verbose: Whether to say what was read, and the scale.

    Returns:
        :class:`Ratings`, a row for each row of the table.

    Raises:
        OSError: A file that is not there, or cannot be read.
        ImportError: Parquet without pyarrow.
        ValueError: A table that is empty, ragged or cut off; a column that is missing or there
            twice; a missing id; a rating that is missing, no finite number, or off the ``scale``;
            a pair that is there twice; ratings that are all the same, without a ``scale``.

    Example:
        ``ratings = read_ratings("ml-latest-small/ratings.csv")``
    """
    if keep not in (None, "first", "last"):
        raise ValueError(f"keep must be None, 'first' or 'last', got {keep!r}")
    named: dict[str, Any] = {"user": user, "item": item, "rating": rating, "timestamp": timestamp}
    form: dict[str, Any] = {"separator": separator, "header": header, "encoding": encoding}
    table = read_table(source, KINDS, KINDS[:3], **form, **named)
    data, users, items, said = _checked(table, keep)
    low, high = float(data["rating"].min()), float(data["rating"].max())
    if scale is not None:
        scale = rating_scale_of(scale)
    elif low == high:
        raise ValueError(
            f"{table.where}: every rating is {low:g}, so there is nothing to learn; if others are "
            "possible, say which, as scale=(1, 5)"
        )
    else:
        scale = RatingScale(low, high, step=0)
        said = "\n(its lowest and highest; where others are possible say scale=(low, high))" + said
    [values] = as_tensors(data["rating"])
    scale.check(values, "rating", lambda i: f"{table.where}, row {data.index[i] + 1}")
    if verbose:
        print(
            f"{table.where}: {len(data):,} ratings by {len(users):,} users of {len(items):,} items"
            f" on a scale from {scale.low:g} to {scale.high:g}{said}"
        )
    return Ratings(data, users, items, scale)


def _checked(table: Table, keep: str | None) -> tuple[pd.DataFrame, Ids, Ids, str]:
    """Return the rows of a table, its ids, and what has to be said of them."""
    ids, data = {}, {}
    for kind in ("user", "item"):
        table.require(kind)
        ids[kind], places = number(table.words[kind], table.codes[kind], kind)
        data[f"{kind}_id"] = places + np.int32(1)
    data["rating"] = table.numbers("rating")
    if table.times is not None:
        data["timestamp"] = table.times
    data = pd.DataFrame(data, copy=False)
    again = _again(data, keep or "first")
    if not again.any():
        return data, ids["user"], ids["item"], ""
    if keep is None:
        row = int(again.argmax())
        user, item = (
            ids[kind].values[int(data.at[row, f"{kind}_id"]) - 1] for kind in ("user", "item")
        )
        raise ValueError(
            f"{table.where}, row {row + 1}: user {user} rates item {item} a second time "
            f"({int(again.sum()):,} in all); keep='last' takes the last rating of each pair"
        )
    said = f"\n{int(again.sum()):,} rows left out, for the {keep} of each pair is kept"
    return data[~again], ids["user"], ids["item"], said


def _again(data: pd.DataFrame, keep: str) -> np.ndarray:
    """Say of each row whether another one of its pair is kept in its place."""
    width = int(data["item_id"].max()) + 1
    pairs = pd.Series(data["user_id"].to_numpy("int64") * width + data["item_id"].to_numpy())
    if "timestamp" in data and pairs.duplicated().any():
        pairs = pairs.iloc[data["timestamp"].argsort(kind="stable").to_numpy()]
    return pairs.duplicated(keep=keep).sort_index().to_numpy()
