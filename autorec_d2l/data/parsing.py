"""Parse the tables of MovieLens; errors name the file and, where they can, the row."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd

from autorec_d2l.data.validation import check_range, check_ratings, column_of

COLUMNS = ["user_id", "item_id", "rating", "timestamp"]
# The order of the 19 flags at the end of a row of u.item.
GENRES = [
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery"),
    *("Romance", "Sci-Fi", "Thriller", "War", "Western"),
]
# At the end of a title, with a mark for films that went to video.
_YEAR = r"\(([0-9]{4})\)(?:\s*\(V\))?$"
# Two rows that the package recbole 1.2.1 gives differently from GroupLens' u.item.
_MENDED = {
    "267": ("unknown", pd.NA),
    "1412": ("Land Before Time III: The Time of the Great Giving", "1995"),
}


def parse_ratings(
    raw: bytes, name: str, num_users: int, num_items: int, separator: str = "\t"
) -> pd.DataFrame:
    """Parse rows of ``user, item, rating, timestamp`` into integer columns :data:`COLUMNS`.

    ``name`` is the file's name in messages. User ids run from 1 to ``num_users``, item ids from
    1 to ``num_items``, ratings are whole stars from 1 to 5, timestamps are seconds since 1970.

    Raises ``ValueError`` for an empty table, a value that is missing, not an integer or out of
    range, and a duplicate pair.
    """
    # pandas reads separators of one character ten times as fast.
    text = raw.replace(separator.encode(), b"\t")
    data = _read_table(text, name, "\t", COLUMNS, encoding="latin-1", low_memory=False)
    data = data.apply(pd.to_numeric, errors="coerce")
    try:
        check_ratings(data, num_users, num_items)
        check_range(column_of(data, "timestamp"), "timestamp", 0, 2**32)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return data.astype("int64")


def parse_items(raw: bytes, name: str, num_items: int) -> pd.DataFrame:
    """Parse the film table of GroupLens, or that of recbole, which begins with a header.

    Returns ``item_id``, ``title`` (without the year), ``year`` (the one in the title, ``<NA>``
    where there is none) and ``genres`` (joined by ``|``). Raises ``ValueError`` unless the ids
    are 1 to ``num_items`` in this order.
    """
    is_recbole = raw.startswith(b"item_id:token\t")
    items = (_parse_items_recbole if is_recbole else _parse_items_grouplens)(raw, name)
    if items["item_id"].tolist() != [str(i) for i in range(1, num_items + 1)]:
        raise ValueError(f"{name}: item_id must run from 1 to {num_items}, one row each")
    columns = ["item_id", "title", "year", "genres"]
    return items[columns].astype({"item_id": "int64", "year": "Int64"})


def _parse_items_grouplens(raw: bytes, name: str) -> pd.DataFrame:
    columns = ["item_id", "title", "released", "video", "address", *GENRES]
    items = _read_table(raw, name, "|", columns, dtype=str, encoding="latin-1")
    title = items["title"].str.rstrip()
    items["title"] = title.str.replace(_YEAR, "", regex=True).str.rstrip()
    items["year"] = title.str.extract(_YEAR, expand=False)
    items["genres"] = ["|".join(np.array(GENRES)[row]) for row in items[GENRES].to_numpy() == "1"]
    return items


def _parse_items_recbole(raw: bytes, name: str) -> pd.DataFrame:
    raw, columns = raw.partition(b"\n")[2], ["item_id", "title", "year", "genres"]
    items = _read_table(raw, name, "\t", columns, dtype=str)
    for item_id, title_and_year in _MENDED.items():
        items.loc[items["item_id"] == item_id, ["title", "year"]] = title_and_year
    items["genres"] = items["genres"].str.replace(" ", "|")
    return items


def _read_table(
    raw: bytes, name: str, separator: str, columns: list[str], **options
) -> pd.DataFrame:
    """Read a table without a header, in which only empty fields are missing."""
    try:
        table = pd.read_csv(
            io.BytesIO(raw),
            sep=separator,
            header=None,
            keep_default_na=False,
            na_values=[""],
            quoting=csv.QUOTE_NONE,
            **options,
        )
    except ValueError as error:  # pandas' own errors too
        raise ValueError(f"{name}: {error}") from error
    if table.shape[1] != len(columns):  # with `names`, pandas would take the first as an index
        raise ValueError(f"{name}: expected {len(columns)} columns, found {table.shape[1]}")
    return table.set_axis(columns, axis=1)
