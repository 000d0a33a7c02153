"""Read a table of any form, a piece at a time: its ids as words, its ratings as numbers.

pandas parses; here it is found out what is to be parsed. Every fault is one error that names the
file, the row (the first below a header is row 1) and what to do.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import os
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types
from tqdm import tqdm

from autorec_d2l.custom.columns import find, has_header
from autorec_d2l.custom.ids import Ids, as_whole

SEPARATORS = ("::", "\t", ";", ",", "|", " ")
UNIT = "\x1f"  # ASCII's own separator of fields
CHUNK = 1_000_000  # rows
LARGE = 20_000_000  # bytes, which take more than two seconds
OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


class Table(NamedTuple):
    """Some columns of a table: the distinct values of each, and which of them a row has."""

    words: dict[str, pd.Index]  # by kind, in the order in which they come
    codes: dict[str, np.ndarray]  # (num_rows,), int32; -1 where a value is missing
    times: np.ndarray | None  # (num_rows,), float64, seconds since 1970; NaN where missing
    where: str  # the table's name in messages

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.codes.values())))

    def numbers(self, kind: str) -> np.ndarray:
        """Return a column of finite numbers, float64, ``(num_rows,)``; 3,5 is 3.5, and
        1,000 nothing.

        Raises ``ValueError`` for the first row that has something else, or nothing.
        """
        texts = self.words[kind].astype(str).str.strip()
        values = pd.to_numeric(
            texts.str.replace(r",(?=\d\d?$)", ".", regex=True), errors="coerce"
        ).to_numpy("float64")
        self.refuse(kind, np.isfinite(values), f"a {kind} has to be a finite number")
        return values[self.codes[kind]]

    def places(self, kind: str, ids: Ids) -> np.ndarray:
        """Return the places of a column among some ids, ``(num_rows,)``, -1 for an unknown one.

        Raises ``ValueError`` for the first row without an id.
        """
        self.require(kind)
        return ids.places(self.words[kind])[self.codes[kind]]

    def require(self, kind: str) -> None:
        """Raise ``ValueError`` for the first row that lacks a value."""
        self.refuse(kind, np.ones(len(self.words[kind]), dtype=bool), f"every row needs its {kind}")

    def refuse(self, kind: str, is_good: np.ndarray, rule: str) -> None:
        """Raise ``ValueError`` for the first row whose value is missing or not good."""
        bad = ~np.append(is_good, False)[self.codes[kind]]
        if bad.any():
            row = int(bad.argmax())
            code = self.codes[kind][row]
            found = "it is missing" if code < 0 else f"got {str(self.words[kind][code])[:60]!r}"
            raise ValueError(
                f"{self.where}, row {row + 1}: {rule}, {found} "
                f"({int(bad.sum()):,} in all); mend the rows or leave them out"
            )


def gather(
    pieces: Iterable[pd.DataFrame],
    where: str,
    kinds: Sequence[str],
    required: Sequence[str],
    named: Mapping[str, Any],
    is_frame: bool = False,
) -> Table:
    """Number the values of each column over all pieces, in the order in which they come."""
    numbers: dict[str, dict[str, int]] = {}
    codes: dict[str, Any] = {}
    words: dict[str, Any] = {}
    times: list[np.ndarray] = []
    for piece in pieces:
        places = find(list(piece.columns), where, kinds, required, named) if is_frame else named
        for kind, place in places.items():
            column = piece.iloc[:, place]
            if kind == "timestamp":
                times.append(_seconds(column, where))
                continue
            here, words[kind] = pd.factorize(column)
            if not is_frame:
                known = numbers.setdefault(kind, {})
                new = [known.setdefault(value, len(known)) for value in words[kind]]
                here = np.array([*new, -1])[here]
            codes.setdefault(kind, []).append(here.astype("int32"))
    if not sum(map(len, codes.get(required[0], []))):
        raise ValueError(f"{where} has no rows below its header")
    if not is_frame:
        words = {kind: pd.Index(list(known), dtype=object) for kind, known in numbers.items()}
        _check_quotes(words, where)
        words |= {kind: as_whole(words[kind]) for kind in words if kind in ("user", "item")}
    codes = {kind: np.concatenate(parts) for kind, parts in codes.items()}
    words = {kind: pd.Index(values) for kind, values in words.items()}
    return Table(words, codes, np.concatenate(times) if times else None, where)


def _seconds(column: pd.Series, where: str) -> np.ndarray:
    """Return times in seconds since 1970: numbers stay, dates are taken for UTC."""
    is_date = types.is_datetime64_any_dtype(column)
    seconds = pd.Series(np.nan, column.index) if is_date else pd.to_numeric(column, errors="coerce")
    seconds = seconds.astype("float64")
    if seconds.isna().any():
        dates = column.where(seconds.isna()).astype(column.dtype if is_date else object)
        dates = pd.to_datetime(dates, errors="coerce", utc=True, format="mixed")
        seconds = seconds.fillna((dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta("1s"))
        bad = (seconds.isna() & column.notna()).to_numpy()
        if bad.any():
            raise ValueError(
                f"{where}: {column.iloc[int(bad.argmax())]!r} is no time; timestamp=False leaves "
                "the column alone"
            )
    return seconds.to_numpy()


def _check_quotes(words: dict[str, pd.Index], where: str) -> None:
    """Refuse a word of several lines: the rows after a quotation mark would be lost in it."""
    for kind, values in words.items():
        word = next((word for word in values if "\n" in word), None)
        if word is not None:
            raise ValueError(
                f"{where}: the {kind} {word[:40]!r} opens a quotation mark that does not close"
            )


def read_table(
    source: str | os.PathLike | pd.DataFrame,
    kinds: Sequence[str],
    required: Sequence[str],
    *,
    separator: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    **named: str | int | bool | None,
) -> Table:
    """Return the columns of ``kinds`` of a file or a DataFrame, those of ``required`` at least.

    ``named`` says which column is of which kind, by its name or its place from 0. What is not
    said is found out: compression, encoding, separator, header, and columns with the usual names.

    Raises ``OSError`` for a file that cannot be read, ``ImportError`` for parquet without pyarrow,
    and ``ValueError`` for a table that is empty, ragged, or lacks a column.
    """
    if isinstance(source, pd.DataFrame):
        return gather([source], "the table", kinds, required, named, is_frame=True)
    path = Path(source)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name the file in it that has the ratings")
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"PK"):
        raise ValueError(f"{path} is a zip archive or a workbook: unpack it, or save it as CSV")
    if start.startswith(b"PAR1"):
        try:
            frame = pd.read_parquet(path)
        except ImportError as error:
            raise ImportError(f"{path} is parquet: pip install pyarrow") from error
        return gather([frame], str(path), kinds, required, named, is_frame=True)
    encodings = [encoding] if encoding else ["utf-8-sig", "latin-1"]
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    for attempt in encodings:
        try:
            return _read_file(path, attempt, separator, header, kinds, required, named)
        except UnicodeDecodeError as error:
            fault = error
    raise ValueError(f"{path} is not in {encodings[-1]}: name its encoding") from fault


def _read_file(path, encoding, separator, header, kinds, required, named) -> Table:
    try:
        with _opened(path, encoding) as (file, _):
            lines = [line.rstrip("\r\n") for line in islice(file, 20)]
        lines = [line for line in lines if line.strip()]
        if not lines:
            raise ValueError(f"{path} is empty")
        separator = separator or _separator(lines)
        fields = [field.strip() for field in _split(lines[0], separator)]
        if header is None:
            header = has_header(fields, named)
        places = find(fields, str(path), kinds, required, named, header)
        chunks = _chunks(path, encoding, separator, header, len(fields), places.get("timestamp"))
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of fields that would be lost
            return gather(chunks, str(path), kinds, required, places)
    except pd.errors.ParserWarning as error:
        raise ValueError(
            f"{path} cannot be read as a table: rows have more fields than {fields}"
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{path} is damaged or cut off: {error}") from error
    except (pd.errors.ParserError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be read as a table: {' '.join(str(error).split())}"
        ) from error


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[tuple[io.TextIOBase, io.BufferedReader]]:
    """Open a text, compressed or not; give it and the file below, which knows how far it is."""
    with path.open("rb") as raw:
        start = raw.read(8)
        raw.seek(0)
        opener = next(
            (opener for magic, opener in OPENERS.items() if start.startswith(magic)), None
        )
        file = opener(raw) if opener else raw
        yield io.TextIOWrapper(file, encoding=encoding, newline=""), raw


class _Colons:
    """A text with one character in place of ``::``, which pandas reads fifty times faster."""

    def __init__(self, file: io.TextIOBase):
        self.file = file

    def read(self, size: int = -1) -> str:
        """Return about so many characters; the two colons stay together."""
        text = self.file.read(size)
        if text.endswith(":"):
            text += self.file.read(1)
        return text.replace("::", UNIT)

    __iter__ = None  # pandas takes it for a file if it can be read and has this


def _separator(lines: Sequence[str]) -> str:
    """Return the first separator that cuts all lines alike, or else cuts the first one most."""
    for separator in SEPARATORS:
        lengths = {len(_split(line, separator)) for line in lines}
        if len(lengths) == 1 and max(lengths) > 1:
            return separator
    return max(SEPARATORS[1:], key=lambda separator: len(_split(lines[0], separator)))


def _split(line: str, separator: str) -> list[str]:
    if len(separator) > 1:
        return line.split(separator)
    return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])


def _chunks(path, encoding, separator, header, num_fields, time) -> Iterator[pd.DataFrame]:
    """Give pieces of a text as objects, with a progress bar over the bytes of a large one."""
    size = path.stat().st_size
    silent = {"disable": True} if size < LARGE else {}
    with _opened(path, encoding) as (file, raw):
        pieces = pd.read_csv(
            _Colons(file) if separator == "::" else file,
            sep={"::": UNIT, " ": r"\s+"}.get(separator, separator),
            header=None,
            names=range(num_fields),
            index_col=False,
            skiprows=int(header),
            dtype={place: object for place in range(num_fields) if place != time},
            keep_default_na=False,  # NA, None and null are good names for a user
            na_values=[""],
            skipinitialspace=True,
            chunksize=CHUNK,
        )
        with tqdm(total=size, unit="B", unit_scale=True, desc=path.name, **silent) as progress:
            for piece in pieces:
                yield piece
                progress.update(raw.tell() - progress.n)
