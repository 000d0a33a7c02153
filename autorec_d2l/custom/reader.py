"""Read a table in chunks with pandas, each column as its distinct values and codes.

Errors name the file, the row (the first one below a header is row 1) and what to do.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import lzma
import os
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types
from tqdm import tqdm

from autorec_d2l.custom.columns import has_header, is_number, resolve_columns
from autorec_d2l.custom.ids import Ids, as_integers

SEPARATORS = ("::", "\t", ";", ",", "|", " ")
NUM_LINES = 20  # that show the form of a table
CHUNK = 1_000_000  # rows
LARGE = 20_000_000  # bytes, which take more than two seconds
UNREADABLE = (
    *(pd.errors.ParserError, pd.errors.ParserWarning, csv.Error),
    *(EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


class Table(NamedTuple):
    """Some columns of a table, by kind."""

    columns: dict[str, pd.Categorical]  # (num_rows,); code -1 where a value is missing
    times: np.ndarray | None  # (num_rows,), float64, seconds since 1970; NaN where missing
    name: str  # in messages

    def numbers(self, kind: str) -> np.ndarray:
        """Return a column as finite numbers, float64, ``(num_rows,)``; "3,5" is 3.5.

        Raises ``ValueError`` for the first row with anything else, such as 1,000, or nothing.
        """
        texts = self.columns[kind].categories.astype(str).str.strip()
        texts = texts.str.replace(r",(?=\d\d?$)", ".", regex=True)
        numbers = pd.to_numeric(texts, errors="coerce").to_numpy("float64")
        self._check(kind, np.isfinite(numbers), f"a {kind} has to be a finite number")
        return numbers[self.columns[kind].codes]

    def indices(self, kind: str, ids: Ids) -> np.ndarray:
        """Return the indices of a column among ``ids``, ``(num_rows,)``, -1 for an unknown id.

        Raises ``ValueError`` for the first row without an id.
        """
        self.check_complete(kind)
        return ids.indices(self.columns[kind].categories)[self.columns[kind].codes]

    def check_complete(self, kind: str) -> None:
        """Raise ``ValueError`` for the first row that lacks a value."""
        self._check(kind, self.columns[kind].categories.notna(), f"every row needs its {kind}")

    def _check(self, kind: str, is_valid: np.ndarray, rule: str) -> None:
        """Raise ``ValueError`` for the first row whose value is missing or not valid."""
        column = self.columns[kind]
        is_bad = ~np.append(is_valid, False)[column.codes]
        if is_bad.any():
            row = int(is_bad.argmax())
            found = "it is missing" if pd.isna(column[row]) else f"got {str(column[row])[:60]!r}"
            raise ValueError(
                f"{self.name}, row {row + 1}: {rule}, {found} ({is_bad.sum():,} in all)"
            )


def read_table(
    source: str | os.PathLike | pd.DataFrame,
    kinds: Sequence[str],
    **named: str | int | bool | None,
) -> Table:
    """Return the columns of ``kinds`` of a file or a DataFrame; only times may be missing.

    ``named`` says which column is of which kind, by its name or its position from 0. Otherwise
    columns are found by their usual names. Separator, header and encoding of a text are found by
    its first lines; the extension of a compressed file says how, as for pandas.

    Raises ``OSError`` for a file that cannot be read, ``ImportError`` where pandas needs a package,
    and ``ValueError`` for a table that is empty, ragged, damaged, or lacks a column.
    """
    name, frame = "the table", source
    if not isinstance(frame, pd.DataFrame):
        path = Path(frame)
        name = str(path)
        with path.open("rb") as file:
            start = file.read(4)
        read = _reader_of_frames(path, start)
        if read is None:
            is_utf_16 = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            try:
                return _read_text(path, "utf-16" if is_utf_16 else "utf-8-sig", kinds, named)
            except UnicodeDecodeError:
                return _read_text(path, "latin-1", kinds, named)
        try:
            frame = read(path)
        except ValueError as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
    return _join([frame], resolve_columns(list(frame), name, kinds, named), name)


def _reader_of_frames(path: Path, start: bytes) -> Callable[[Path], pd.DataFrame] | None:
    """Return pandas' reader of workbooks, JSON and parquet; ``None`` for a text."""
    if path.suffix in (".xlsx", ".xls", ".ods"):
        return pd.read_excel
    if start[:1] in (b"{", b"["):
        return partial(pd.read_json, lines=start[:1] == b"{", dtype=False)
    return pd.read_parquet if start == b"PAR1" else None


def _read_text(path, encoding, kinds, named) -> Table:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of fields that would be lost
            lines = _first_lines(path, encoding)
            separator = _find_separator(lines)
            fields = [field.strip() for field in _split(lines[:1], separator)[0]]
            with_header = has_header(fields, named)
            columns = resolve_columns(fields, str(path), kinds, named, with_header)
            with pd.read_csv(
                path,
                sep=r"\s+" if separator == " " else separator,
                engine="python" if len(separator) > 1 else "c",
                header=0 if with_header else None,
                names=range(len(fields)),
                index_col=False,
                dtype={i: object for i in range(len(fields)) if i != columns.get("timestamp")},
                keep_default_na=False,  # NA, None and null are valid names of a user
                na_values=[""],
                skipinitialspace=True,
                encoding=encoding,
                chunksize=CHUNK,
            ) as chunks:
                if path.stat().st_size > LARGE:
                    chunks = tqdm(chunks, desc=path.name, unit="M rows")
                table = _join(_check_quotes(chunks, separator, columns, path), columns, str(path))
    except UNREADABLE as error:
        message = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read as a table: {message}") from error
    for kind in {"user", "item"}.intersection(columns):
        column = table.columns[kind]
        table.columns[kind] = column.rename_categories(as_integers(column.categories))
    return table


def _first_lines(path: Path, encoding: str) -> list[str]:
    """Return the first lines of a text; raise ``ValueError`` for other files."""
    form: dict[str, Any] = {
        "sep": "\x1e",
        "header": None,
        "names": [0],
        "index_col": False,
        "dtype": object,
    }
    form |= {"quoting": csv.QUOTE_NONE, "keep_default_na": False, "nrows": NUM_LINES}
    lines = pd.read_csv(path, encoding=encoding, **form)[0].tolist()
    if not lines:
        raise ValueError(f"{path} is empty")
    if re.search(r"[\0-\x08]", "".join(lines)):
        raise ValueError(f"{path} is an archive or the like, not a table: save it as CSV")
    return lines


def _find_separator(lines: Sequence[str]) -> str:
    """Return the first separator that splits all lines alike, or else the first line most."""
    for separator in SEPARATORS:
        lengths = {len(row) for row in _split(lines, separator)}
        if len(lengths) == 1 and max(lengths) > 1:
            return separator
    return max(SEPARATORS, key=lambda separator: len(_split(lines[:1], separator)[0]))


def _split(lines: Sequence[str], separator: str) -> list[list[str]]:
    if len(separator) > 1:
        return [line.split(separator) for line in lines]
    return list(csv.reader(lines, delimiter=separator, skipinitialspace=True))


def _check_quotes(
    chunks: Iterable[pd.DataFrame], separator: str, columns: Mapping[str, int], path: Path
) -> Iterator[pd.DataFrame]:
    """Yield chunks; raise ``ValueError`` where an unclosed quotation mark has swallowed rows.

    A quoted field may hold line breaks, but not lines that look like rows of the table.
    """
    for chunk in chunks:
        for i in chunk.columns.difference([columns.get("timestamp")]):
            chunk[i] = chunk[i].astype("category")
            values = chunk[i].cat.categories
            for text in values[values.str.contains("[\r\n]")]:
                fields = [text if j == i else "0" for j in chunk]
                if i in columns.values() or _holds_rows(fields, separator, columns.get("rating")):
                    row = (chunk[i] == text).idxmax() + 1
                    raise ValueError(
                        f"{path}, row {row}: a quotation mark before {text[:40]!r} does not close"
                    )
        yield chunk


def _holds_rows(fields: Sequence[str], separator: str, rating: int | None) -> bool:
    """Return whether the first and the last line of a record look like rows of their own.

    They have all fields, and a number as rating, counted from one end or the other.
    """
    lines = re.split("[\r\n]+", separator.join(fields))
    rows = [line.split(separator) for line in (lines[0], lines[-1])]
    if any(len(row) < len(fields) for row in rows):
        return False
    return rating is None or all(
        is_number(row[rating]) or is_number(row[rating - len(fields)]) for row in rows
    )


def _join(chunks: Iterable[pd.DataFrame], columns: Mapping[str, int], name: str) -> Table:
    """Return the columns at some positions of the chunks of a table."""
    parts: dict[str, list[Any]] = {kind: [] for kind in columns}
    for chunk in chunks:
        for kind, position in columns.items():
            column = chunk.iloc[:, position]
            parts[kind].append(
                _seconds(column, name) if kind == "timestamp" else pd.Categorical(column)
            )
    times = parts.pop("timestamp", None)
    if not any(map(len, next(iter(parts.values())))):
        raise ValueError(f"{name} has no rows below its header")
    joined = {kind: types.union_categoricals(part) for kind, part in parts.items()}
    return Table(joined, np.concatenate(times) if times else None, name)


def _seconds(column: pd.Series, name: str) -> np.ndarray:
    """Return times in seconds since 1970: numbers stay, dates are taken for UTC."""
    is_date = types.is_datetime64_any_dtype(column)
    seconds = pd.to_numeric(column.mask(column.notna()) if is_date else column, errors="coerce")
    seconds = seconds.astype("float64")
    is_text = seconds.isna()
    try:
        dates = pd.to_datetime(column[is_text], utc=True, format="mixed")
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: {error}; timestamp=False ignores the times") from error
    seconds[is_text] = (dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta("1s")
    return seconds.to_numpy()
