"""Checks of tables, networks and optimizers; errors name the offending row."""

from __future__ import annotations

import zlib
from numbers import Integral, Number, Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from pandas.api import types
from torch import nn
from torch.utils.data import DataLoader, Dataset

from autorec_d2l.data.rating_scale import STARS, RatingScale


def check_integer(value: int, name: str, low: int = 1) -> int:
    """Return ``value``, of Python or numpy, as an ``int`` of at least ``low``.

    Raises ``ValueError``, which calls it ``name``, for anything else, fractions and bools too.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
        raise ValueError(f"{name} must be an integer, at least {low}, got {value!r}")
    return int(value)


def check_trainer(net: nn.Module, trainer: torch.optim.Optimizer) -> None:
    """Raise ``ValueError`` for an optimizer that would not change ``net``.

    Training would run to the end and leave the network as it is.
    """
    trained = {id(part) for group in trainer.param_groups for part in group["params"]}
    if not any(part.requires_grad and id(part) in trained for part in net.parameters()):
        raise ValueError(
            "trainer holds no parameter of net that requires a gradient, so net would not change: "
            "create the trainer from net.parameters()"
        )


def check_shapes(predictions: torch.Tensor, ratings: torch.Tensor) -> None:
    """Raise ``ValueError`` for shapes that differ: torch would broadcast them."""
    if predictions.shape != ratings.shape:
        raise ValueError(
            f"predictions {tuple(predictions.shape)} and ratings {tuple(ratings.shape)} differ in "
            "shape; ratings are the last tensor of a batch, and a test matrix has the rows and "
            "columns of its training matrix"
        )


def column_of(data: pd.DataFrame, name: str) -> np.ndarray:
    """Return a column of numbers as int64 or float64, ``(num_rows,)``; missing ones become NaN.

    Raises ``ValueError`` for a column that is missing, occurs twice or is not numeric.
    """
    if (data.columns == name).sum() != 1:
        raise ValueError(
            f"the table needs one column {name!r}, it has {', '.join(map(str, data.columns))}; "
            "rename columns with data.rename(columns={'old': 'new'})"
        )
    column = data[name].infer_objects()
    if not (types.is_integer_dtype(column) or types.is_float_dtype(column)):
        values = column.to_numpy(object)
        i = next((i for i, value in enumerate(values) if not isinstance(value, Real)), 0)
        raise ValueError(
            f"{name} must be numbers, got {values[i]!r} ({column.dtype}) in data.iloc[{i}]: "
            f"convert digits with .astype(int), and names with pd.factorize(data['{name}'])[0] + 1"
        )
    if types.is_integer_dtype(column) and not column.hasnans:
        return column.to_numpy("int64")
    return column.to_numpy("float64", na_value=np.nan)


def check_range(column: np.ndarray, name: str, low: int, high: int) -> None:
    """Raise ``ValueError`` for the first row that is not an integer from ``low`` to ``high``."""
    is_bad = ~((column >= low) & (column <= high) & (column == np.floor(column)))
    if is_bad.any():
        i = int(is_bad.argmax())
        value = f"{column[i]:.15g}"
        raise ValueError(
            f"{name} must be an integer, {low} to {high}, got {value} in data.iloc[{i}]"
        )


def check_ids(data: pd.DataFrame, num_users: int, num_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the users and the items of a table, ``(num_rows,)``, int64, from 1.

    Raises ``ValueError`` for an empty table, sizes below 1, and ids out of range.
    """
    ids = []
    for name, size in (("user_id", num_users), ("item_id", num_items)):
        limit, column = check_integer(size, f"num_{name[:4]}s"), column_of(data, name)
        if len(column) == 0:
            raise ValueError("the table of ratings is empty")
        check_range(column, name, 1, limit)
        ids.append(column.astype("int64", copy=False))
    return ids[0], ids[1]


def check_pairs(users: np.ndarray, items: np.ndarray) -> None:
    """Raise ``ValueError`` for a user's second rating of an item."""
    is_duplicate = pd.DataFrame({"user": users, "item": items}).duplicated().to_numpy()
    if is_duplicate.any():
        i = int(is_duplicate.argmax())
        raise ValueError(
            f"user {users[i]} rates item {items[i]} a second time in data.iloc[{i}]; keep one, for "
            "example with data.drop_duplicates(['user_id', 'item_id'], keep='last')"
        )


def check_ratings(
    data: pd.DataFrame, num_users: int, num_items: int, scale: RatingScale = STARS
) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    """Return the users, the items and the ratings of a table, each ``(num_ratings,)``.

    Raises ``ValueError`` for what :func:`check_ids` and :func:`check_pairs` refuse, ids with such
    gaps that almost all rows of a matrix would be empty, and ratings off the ``scale``.
    """
    users, items = check_ids(data, num_users, num_items)
    for name, size in (("user_id", num_users), ("item_id", num_items)):
        if size > max(10**6, 10 * len(data)):  # memory would be taken for each possible id
            raise ValueError(
                f"{name} goes up to {size:,}, for {len(data):,} ratings: renumber the ids with "
                f"pd.factorize(data['{name}'])[0] + 1, or use autorec_d2l.custom.read_ratings"
            )
    check_pairs(users, items)
    ratings = torch.from_numpy(column_of(data, "rating").copy())
    scale.check(ratings, "rating", lambda i: f"user {users[i]}, item {items[i]}, data.iloc[{i}]")
    return users, items, ratings


def checksum(data: Any, crc: int = 0) -> int:
    """Return the CRC-32 of all numbers in a loader, a data set, a matrix or a list."""
    if isinstance(data, DataLoader):
        data = data.dataset
    if isinstance(data, torch.Tensor) and data.layout != torch.strided:
        rows = data.to_sparse_csr()
        data = [rows.crow_indices(), rows.col_indices(), rows.values()]
    if isinstance(data, torch.Tensor):
        data = data.detach().cpu()
    if hasattr(data, "__array__"):
        array = np.ascontiguousarray(data)
        crc = zlib.crc32(f"{array.shape} {array.dtype}".encode(), crc)
        return crc if array.dtype.hasobject else zlib.crc32(array.view(np.uint8).data, crc)
    if isinstance(data, Number):
        return zlib.crc32(repr(data).encode(), crc)
    for part in data if isinstance(data, list | tuple) else getattr(data, "__dict__", {}).values():
        if isinstance(part, list | tuple | Dataset | Number) or hasattr(part, "__array__"):
            crc = checksum(part, crc)
    return crc
