"""Checks of tables of ratings, of networks and of optimizers; errors name the offending row."""

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

MAX_CELLS = 2**32  # of a dense matrix: 16 GB


def check_integer(value: int, name: str, low: int = 1) -> int:
    """Return ``value``, of Python or numpy, as an ``int`` of at least ``low``.

    Raises ``ValueError``, which calls it ``name``, for anything else, fractions and bools too.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
        raise ValueError(f"{name} must be an integer, at least {low}, got {value!r}")
    return int(value)


def check_trainer(net: nn.Module, trainer: torch.optim.Optimizer) -> None:
    """Raise ``ValueError`` for an optimizer that would not change ``net``, or not by one gradient.

    Training would run to the end and leave the network as it is.
    """
    trained = {id(part) for group in trainer.param_groups for part in group["params"]}
    if not any(part.requires_grad and id(part) in trained for part in net.parameters()):
        raise ValueError(
            "trainer holds no parameter of net that requires a gradient, so net would not change: "
            "create the trainer from net.parameters()"
        )
    if isinstance(trainer, torch.optim.LBFGS):
        raise ValueError("LBFGS needs several losses per step: use Adam, SGD or the like")


def column_of(data: pd.DataFrame, name: str) -> np.ndarray:
    """Return a column of numbers as int64 or float64, ``(num_rows,)``; missing ones become NaN.

    Raises ``TypeError`` for anything but a table, and ``ValueError`` for a column that is missing,
    occurs twice or is not numeric.
    """
    if not isinstance(data, pd.DataFrame):
        raise TypeError(f"a table must be a pandas.DataFrame, got {type(data).__name__}")
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
            f"{name} must be numbers, got {values[i]!r} ({data[name].dtype}) in data.iloc[{i}]; "
            f"convert digits with data['{name}'].astype(int), and names with "
            f"pd.factorize(data['{name}'])[0] + 1"
        )
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu":
        return column.to_numpy("int64")
    return column.to_numpy("float64", na_value=np.nan)


def check_ids(data: pd.DataFrame, num_users: int, num_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the users and the items of a table, ``(num_rows,)``, int64, from 1.

    Raises ``ValueError`` for an empty table, sizes below 1, and ids out of range.
    """
    ids = []
    for name, size in (("user_id", num_users), ("item_id", num_items)):
        limit = check_integer(size, f"num_{name[:4]}s")
        column = column_of(data, name)
        if len(column) == 0:
            raise ValueError("the table of ratings is empty")
        is_bad = ~((column >= 1) & (column <= limit) & (column == np.floor(column)))
        if is_bad.any():
            i = int(is_bad.argmax())
            raise ValueError(
                f"{name} must be integers from 1 to {limit} (num_{name[:4]}s), "
                f"got {column[i]:.15g} in data.iloc[{i}]"
            )
        ids.append(column.astype("int64", copy=False))
    return ids[0], ids[1]


def check_pairs(users: np.ndarray, items: np.ndarray) -> None:
    """Raise ``ValueError`` for a user's second rating of an item."""
    keys = pd.Series(users * (items.max() + 1) + items)  # one number per pair
    is_duplicate = keys.duplicated().to_numpy()
    if is_duplicate.any():
        i = int(is_duplicate.argmax())
        raise ValueError(
            f"user {users[i]} rates item {items[i]} a second time in data.iloc[{i}]; keep one of "
            "the two, for example with data.drop_duplicates(['user_id', 'item_id'], keep='last')"
        )


def check_memory(num_users: int, num_items: int, num_ratings: int, is_dense: bool = False) -> None:
    """Raise ``ValueError`` before memory is taken for ids that leave almost all rows empty."""
    for name, size in (("user", num_users), ("item", num_items)):
        if size > max(10**7, 100 * num_ratings):
            raise ValueError(
                f"{name}_id goes up to {size:,}, for {num_ratings:,} ratings: renumber the ids "
                f"without gaps, data['{name}_id'] = pd.factorize(data['{name}_id'])[0] + 1, or "
                "read the table with autorec_d2l.custom.read_ratings"
            )
    if is_dense and num_users * num_items > MAX_CELLS:
        raise ValueError(
            f"a dense matrix of user_id up to {num_users:,} and item_id up to {num_items:,} takes "
            f"{num_users * num_items * 4 / 1e9:,.0f} GB: use autorec_d2l.sparse, or renumber ids "
            "with gaps, as in pd.factorize(data['user_id'])[0] + 1"
        )


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
