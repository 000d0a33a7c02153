"""Turn the bytes of a MovieLens table into a checked :class:`pandas.DataFrame`.

Every fault is one ``ValueError`` that names the file, the row and what to do.
"""

from __future__ import annotations

import codecs
import csv
import io
import unicodedata
from functools import partial

import numpy as np
import pandas as pd

COLUMNS = ["user_id", "item_id", "rating", "timestamp"]
# The order of the 19 flags at the end of a row of u.item.
GENRES = [
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery"),
    *("Romance", "Sci-Fi", "Thriller", "War", "Western"),
]
# What accents become in a file that was read in one encoding and saved in another: characters that
# Latin-1, GroupLens' encoding, has not; pairs such as Ã©; a capital or a ? in the middle of a word.
_GARBLED = r"[^\x00-\x7f\xa0-\xff]|[ÂÃ][\xa0-\xbf]|[a-zß-ÿ][?À-Þ][a-zß-ÿ]"
# At the end of a title, with a mark for films that went to video.
_YEAR = r"\(([0-9]{4})\)(?:\s*\(V\))?$"
# Two rows that the package recbole 1.2.1 gives differently from GroupLens' u.item.
_MENDED = {
    267: ("unknown", pd.NA),
    1412: ("Land Before Time III: The Time of the Great Giving", "1995"),
}


def parse_ratings(
    raw: bytes, name: str, num_users: int, num_items: int, separator: str = "\t"
) -> pd.DataFrame:
    """Parse rows of ``user, item, rating, timestamp`` into integer columns :data:`COLUMNS`.

    ``name`` is the file's name in messages. User ids run from 1 to ``num_users``, item ids from
    1 to ``num_items``, ratings are whole stars from 1 to 5, timestamps are seconds since 1970.

    Raises ``ValueError`` for an empty table, and naming the first row with a missing or surplus
    field, a value that is not a whole number or out of range, or a (user, item) pair that came
    before.
    """
    raw = _utf8(raw)
    data = _read_text(raw, name, separator, COLUMNS).apply(pd.to_numeric, errors="coerce")

    refuse = partial(_refuse, raw, name)
    for column in COLUMNS:
        refuse(~(data[column] % 1 == 0), f"{column} is not a whole number")
    refuse(~data["rating"].between(1, 5), "rating is outside 1 ... 5")
    refuse(~data["user_id"].between(1, num_users), f"user_id is outside 1 ... {num_users}")
    refuse(~data["item_id"].between(1, num_items), f"item_id is outside 1 ... {num_items}")
    refuse(~data["timestamp"].between(0, 2**32), "timestamp is not seconds since 1970")
    refuse(data.duplicated(["user_id", "item_id"]), "this user has rated this item before")
    return data.astype("int64")


def parse_items(raw: bytes, name: str, num_items: int) -> pd.DataFrame:
    """Parse the film table in either form, told apart by the header of recbole's.

    Returns ``item_id``, ``title`` (without the year), ``year`` (the one in the title, ``<NA>``
    where there is none) and ``genres`` (joined by ``|``). Raises ``ValueError`` for other forms,
    garbled titles, and if the ids are not 1 to ``num_items`` in this order.
    """
    raw = _utf8(raw)
    if raw.startswith(b"item_id:token\t"):
        raw = raw.partition(b"\n")[2]
        items = _parse_items_recbole(raw, name)
    else:
        items = _parse_items_grouplens(raw, name)
    items["item_id"] = pd.to_numeric(items["item_id"], errors="coerce")
    if items["item_id"].tolist() != list(range(1, num_items + 1)):
        raise ValueError(
            f"{name}: item_id must run from 1 to {num_items}, a row each. "
            "Mend the table, or delete the file to download the original."
        )
    refuse = partial(_refuse, raw, name)
    title, year = items["title"].fillna(""), items["year"].fillna("")
    refuse(title == "", "the title is empty")
    refuse(title.str.contains(_GARBLED), "the title is garbled, by another encoding")
    refuse(~year.str.fullmatch("([0-9]{4})?"), "the year is not four digits")
    genres = items["genres"].str.split("|")
    refuse([not {*GENRES, ""}.issuperset(row) for row in genres], "a genre is unknown")
    items["year"] = items["year"].astype("Int64")
    return items


def _parse_items_grouplens(raw: bytes, name: str) -> pd.DataFrame:
    columns = ["item_id", "title", "released", "video", "address", *GENRES]
    text = _read_text(raw, name, "|", columns)
    title = text["title"].str.rstrip()
    # Two plain steps: one pattern for title and year takes hours for a title of many blanks.
    parts = {
        "title": title.str.replace(_YEAR, "", regex=True).str.rstrip(),
        "year": title.str.extract(_YEAR, expand=False),
    }
    is_flag = text[GENRES].isin(["0", "1"]).all(axis=1)
    _refuse(raw, name, ~is_flag, "the flag of a genre is neither 0 nor 1")
    flags = text[GENRES].to_numpy() == "1"
    genres = ["|".join(np.array(GENRES)[row]) for row in flags]
    return pd.DataFrame({"item_id": text["item_id"], **parts, "genres": genres})


def _parse_items_recbole(raw: bytes, name: str) -> pd.DataFrame:
    columns = ["item_id", "title", "year", "genres"]
    items = _read_text(raw, name, "\t", columns)
    for item_id, (title, year) in _MENDED.items():
        items.loc[items["item_id"] == str(item_id), ["title", "year"]] = [title, year]
    _refuse(raw, name, items["genres"].isna(), "there is no genre, as where a table is cut off")
    items["genres"] = items["genres"].str.replace(" ", "|")
    return items


def _utf8(raw: bytes) -> bytes:
    """Return a table in UTF-8, without a byte order mark and blank lines at its end.

    GroupLens' own files are in Latin-1; editors save them in UTF-8 or UTF-16, some with accents
    as marks of their own.
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = raw.decode("utf-16", errors="replace")
    else:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
    return unicodedata.normalize("NFC", text).rstrip(" \r\n").encode()


def _read_text(raw: bytes, name: str, separator: str, columns: list[str]) -> pd.DataFrame:
    """Split the rows of a table into strings, as many a row as there are columns."""
    if not raw:
        raise ValueError(f"{name} is empty. Delete the file to download the original.")
    # pandas reads one-character separators in C, which is ten times faster. A single ":" is no
    # separator, so "::" does not become ":".
    single = separator if len(separator) == 1 else "\t"
    text = raw.replace(separator.encode(), single.encode())
    for row, line in enumerate(text.splitlines()):
        found = line.count(single.encode()) + 1
        if found != len(columns):
            raise _fault(raw, name, row, f"expected {len(columns)} fields, found {found}")
    return pd.read_csv(
        io.BytesIO(text),
        sep=single,
        header=None,
        names=columns,
        dtype=str,
        keep_default_na=False,
        na_values=[""],
        quoting=csv.QUOTE_NONE,
    )


def _refuse(raw: bytes, name: str, bad: pd.Series | list[bool], reason: str) -> None:
    """Raise an error that names the first bad row, if there is one."""
    if np.any(bad):
        raise _fault(raw, name, int(np.argmax(bad)), reason)


def _fault(raw: bytes, name: str, row: int, reason: str) -> ValueError:
    """Return an error that names a row, counted from 0, shows it and says what to do."""
    line = raw.splitlines()[row].decode(errors="replace")
    return ValueError(
        f"{name}, row {row + 1}: {reason}. The row reads {line[:80]!r}. "
        "Mend the row, or delete the file to download the original."
    )
