"""Columns as numbers and the distinct words behind them, gathered from the pieces of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types

from autorec_d2l.own.columns import find
from autorec_d2l.own.ids import Ids, as_whole


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
