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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from autorec_d2l.own.columns import find, has_header
from autorec_d2l.own.table import Table, gather

SEPARATORS = ("::", "\t", ";", ",", "|", " ")
UNIT = "\x1f"  # ASCII's own separator of fields
CHUNK = 1_000_000  # rows
LARGE = 20_000_000  # bytes, which take more than two seconds
OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


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
