"""From a table to checked ratings, without losing a row."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from autorec_d2l.custom.columns import KINDS
from autorec_d2l.custom.ids import Ids, factorize
from autorec_d2l.custom.reader import read_table
from autorec_d2l.data.loaders import as_tensors
from autorec_d2l.data.rating_scale import RatingScale


@dataclass(frozen=True)
class Ratings:
    """Checked ratings, in the order of the table.

    ``data`` has the columns that the rest of the library takes: ``user_id`` and ``item_id``, int32,
    indices from 1 into ``users`` and ``items``, which hold the ids of the table; ``rating`` in the
    units of the table; and ``timestamp`` in seconds if there is one.
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
    scale: Sequence[float] | None = None,
    keep: str | None = None,
    verbose: bool = True,
) -> Ratings:
    """Read ratings from a table of any form.

    Args:
        source: A file (CSV, TSV, ``::`` and the like, compressed or not; .xlsx; JSON; parquet), or
            a DataFrame.
        user: The column of the users, by its name or its position from 0. Usual names, such as
            ``userId``, are found; without a header the order is user, item, rating, timestamp.
        item: The column of the items, in the same way.
        rating: The column of the ratings. 0 and negative numbers are ratings like others.
        timestamp: The column of the times, seconds or dates; ``False`` ignores it.
        scale: The lowest and the highest possible rating; those of the table if not given.
        keep: What to do with a second rating of an item by a user: refuse it (``None``), or keep
            the ``"first"`` or the ``"last"`` of them, by time if there is a timestamp, which none
            of them may lack then, else by row.
        verbose: Whether to print what was read, and the scale.

    Returns:
        :class:`Ratings`, a row for each row of the table.

    Raises:
        OSError: A file that does not exist, or cannot be read.
        ImportError: A file for which pandas needs another package, such as pyarrow or openpyxl.
        ValueError: A table that is empty, ragged or damaged; a quotation mark that is not closed; a
            column that is missing or ambiguous; a missing id; a rating that is missing, not a
            finite number, or off the ``scale``; a pair that occurs twice; ratings that are all
            equal, without a ``scale``.

    Example:
        ``ratings = read_ratings("ml-latest-small/ratings.csv")``
    """
    if keep not in (None, "first", "last"):
        raise ValueError(f"keep must be None, 'first' or 'last', got {keep!r}")
    table = read_table(source, KINDS, user=user, item=item, rating=rating, timestamp=timestamp)
    ids: dict[str, Ids] = {}
    columns = {}
    for kind in ("user", "item"):
        table.check_complete(kind)
        ids[kind], indices = factorize(table.columns[kind])
        columns[f"{kind}_id"] = indices + np.int32(1)
    columns["rating"] = table.numbers("rating")
    if table.times is not None:
        columns["timestamp"] = table.times
    data, note = pd.DataFrame(columns, copy=False), ""
    is_duplicate = _duplicates(data, keep, table.name, ids)
    if is_duplicate.any():
        data = data[~is_duplicate]
        note = f"\n{is_duplicate.sum():,} rows left out: the {keep} of each pair is kept"
    low, high = float(data["rating"].min()), float(data["rating"].max())
    if 0 < 20 * data["rating"].median() < high:
        warnings.warn(
            f"{table.name}: the highest rating is more than 20 times the median; if they are "
            "counts of plays or hours, fit numpy.log1p of them",
            stacklevel=2,
        )
    if scale is not None:
        low, high = scale
    elif low == high:
        raise ValueError(f"{table.name}: every rating is {low:g}; give scale=(low, high)")
    else:
        note = "\n(its lowest and highest; if others are possible, give scale=(low, high))" + note
    scale = RatingScale(low, high, step=0)
    [values] = as_tensors(data["rating"])
    scale.check(values, "rating", lambda i: f"{table.name}, row {data.index[i] + 1}")
    if verbose:
        users, items = len(ids["user"]), len(ids["item"])
        print(
            f"{table.name}: {len(data):,} ratings by {users:,} users of {items:,} items on a scale "
            f"from {scale.low:g} to {scale.high:g}{note}"
        )
    return Ratings(data, ids["user"], ids["item"], scale)


def _duplicates(data: pd.DataFrame, keep: str | None, name: str, ids: dict[str, Ids]) -> np.ndarray:
    """Return of each row whether another one of its pair is kept, bool, ``(num_rows,)``.

    Raises ``ValueError`` for the first of them if ``keep`` is ``None``, and for one without a time.
    """
    users, items = data["user_id"].to_numpy("int64"), data["item_id"].to_numpy("int64")
    pairs = pd.Series(users * (items.max() + 1) + items)
    is_duplicate = pairs.duplicated()
    if not is_duplicate.any():
        return is_duplicate.to_numpy()
    if keep is None:
        row = int(is_duplicate.argmax())
        user, item = ids["user"].values[users[row] - 1], ids["item"].values[items[row] - 1]
        raise ValueError(
            f"{name}, row {row + 1}: user {user} rates item {item} a second time "
            f"({is_duplicate.sum():,} in all); keep='last' keeps the last rating of each pair"
        )
    if "timestamp" in data:
        has_no_time = pairs.duplicated(keep=False) & data["timestamp"].isna()
        if has_no_time.any():
            row = int(has_no_time.argmax())
            raise ValueError(
                f"{name}, row {row + 1}: the pair occurs twice, and keep={keep!r} "
                "needs the times of both; timestamp=False takes the order of the rows"
            )
        pairs = pairs.iloc[data["timestamp"].argsort(kind="stable").to_numpy()]
    return pairs.duplicated(keep=keep).sort_index().to_numpy()
