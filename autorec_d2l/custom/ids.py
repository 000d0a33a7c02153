"""User and item ids of any kind, and their indices from 0."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

INTEGER = r"(?:0|-?[1-9]\d*)(?:\.0+)?"  # as Python writes integers; 007 is text


class Ids:
    """Distinct ids, sorted as text: ``values``, ``(num_ids,)``, integers or text.

    The index of an id is its position. Ids are compared as text, so that 7 and "7" are one.
    """

    def __init__(self, values: pd.Index):
        self.values = values

    def __len__(self) -> int:
        """Return the number of ids."""
        return len(self.values)

    @cached_property
    def _texts(self) -> pd.Index:
        return pd.Index(as_text(self.values))

    def indices(self, ids: Any) -> np.ndarray:
        """Return the indices from 0 of some ids, ``(len(ids),)``; -1 for an unknown one."""
        codes, distinct = pd.factorize(pd.Series(ids))
        return np.append(self._texts.get_indexer(pd.Index(as_text(distinct))), -1)[codes]


def as_text(ids: Any) -> pd.Series:
    """Return ids as text without blanks at the ends; in a column of whole floats 7.0 is 7.

    Raises ``ValueError`` for floats so large that two integers may have become the same one.
    """
    column = pd.Series(ids)
    if types.is_float_dtype(column):
        dtype = getattr(column.dtype, "numpy_dtype", column.dtype)
        is_large = column.abs() >= 2.0 ** (np.finfo(dtype).nmant + 1)
        if is_large.any():
            raise ValueError(
                f"the id {column[is_large].iloc[0]:g} is too large: {dtype} does not hold every "
                "integer of this size, so read the ids as text"
            )
        if (column % 1 == 0).all():
            column = column.astype("int64")
    return column.astype(str).str.strip()


def as_integers(texts: pd.Index) -> pd.Index:
    """Return texts as integers if all of them are, 7.0 too; else as they are."""
    if not texts.str.fullmatch(INTEGER).all():
        return texts
    numbers = pd.to_numeric(texts.str.replace(r"\.0+$", "", regex=True), errors="coerce")
    return numbers if types.is_integer_dtype(numbers) and numbers.is_unique else texts


def factorize(column: pd.Categorical) -> tuple[Ids, np.ndarray]:
    """Return the ids of a column, and the index of the id of each row, int32, ``(num_rows,)``.

    Ids are sorted, so that they do not depend on the order of the rows. Blanks at the ends do not
    count.
    """
    column = column.remove_unused_categories()
    values = column.categories
    indices, distinct = pd.factorize(as_text(values), sort=True)
    distinct = pd.Index(distinct)
    if types.is_numeric_dtype(values):
        distinct = as_integers(distinct)
    return Ids(distinct), indices.astype("int32")[column.codes]
