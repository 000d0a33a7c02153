"""The reader's own ids, of any kind, and the numbers that stand for them inside."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

BLANKS = r"[\s\u200b-\u200d\u2060\ufeff]+"
NUMBER = r"(?:0|-?[1-9]\d*)(?:\.0+)?"  # as Python writes whole numbers; 007 is a word


class Ids:
    """Distinct ids in the order in which they came: ``values``, ``(num_ids,)``, numbers or words.

    Inside, an id is its place. An id is found by its text, so that 7 and "7" are one.
    """

    def __init__(self, values: pd.Index):
        self.values = values

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.values)

    @cached_property
    def _texts(self) -> pd.Index:
        return pd.Index(as_text(self.values))

    def places(self, ids: Any) -> np.ndarray:
        """Return the places, from 0, of some ids: ``(len(ids),)``, -1 for one that is unknown."""
        codes, words = pd.factorize(pd.Series(ids))
        return np.append(self._texts.get_indexer(pd.Index(as_text(words))), -1)[codes]


def as_text(ids: Any) -> pd.Series:
    """Return ids as text without blanks at the ends; 7.0 among whole numbers is 7."""
    column = pd.Series(ids)
    if types.is_float_dtype(column) and (column % 1 == 0).all():
        column = column.astype("int64")
    return column.astype(str).str.strip()


def as_whole(words: pd.Index) -> pd.Index:
    """Return words as whole numbers where all of them are, 7.0 too; else as they are."""
    if not words.str.fullmatch(NUMBER).all():
        return words
    numbers = pd.to_numeric(words.str.replace(r"\.0+$", "", regex=True), errors="coerce")
    return numbers if types.is_integer_dtype(numbers) and numbers.is_unique else words


def number(words: pd.Index, codes: np.ndarray, kind: str) -> tuple[Ids, np.ndarray]:
    """Return the ids of a column, and the place of each row's, int32, ``(num_rows,)``.

    ``words`` are the distinct values of the column and ``codes`` say which one each row has. Blanks
    at the ends are taken off, and words that differ in case stay apart; where this makes one id of
    two, or leaves two that look like one, it is said by a ``UserWarning``.
    """
    texts = as_text(words)
    places, values = pd.factorize(texts)
    if len(values) < len(words):
        again = int(pd.Series(places).duplicated().argmax())
        first = list(places).index(places[again])
        warnings.warn(
            f"the {kind}s {words[first]!r} and {words[again]!r} are taken for one: their text is "
            f"the same but for blanks at the ends ({len(words) - len(values)} in all)",
            stacklevel=4,
        )
    values = pd.Index(values)
    if types.is_numeric_dtype(words):
        values = as_whole(values)
    if not types.is_integer_dtype(values):
        _tell_alike(values, kind)
    return Ids(values), places.astype("int32")[codes]


def _tell_alike(values: pd.Index, kind: str) -> None:
    """Warn of ids that differ only in case, blanks, leading zeros or the form of a letter."""
    keys = (
        values.str.normalize("NFKC").str.casefold().str.replace(BLANKS + r"|\.0+$", "", regex=True)
    )
    keys = keys.str.replace(r"^0+(?=\d)", "", regex=True)
    again = keys.duplicated()
    if again.any():
        second = int(again.argmax())
        first = keys.get_loc(keys[second])
        first = int(np.arange(len(keys))[first][0])
        warnings.warn(
            f"the {kind}s {values[first]!r} and {values[second]!r} differ only in case, blanks, "
            f"leading zeros or accents, and stay two ({int(again.sum())} in all); mend the table "
            "if they are one",
            stacklevel=5,
        )
