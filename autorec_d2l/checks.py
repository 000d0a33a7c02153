"""Checks of numbers, networks and tables of ratings: a fault is one error that names its place."""

from __future__ import annotations

import zlib
from numbers import Integral, Number, Real

import numpy as np
import pandas as pd
import torch
from pandas.api import types
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset

NUMBERED = (
    "digits become numbers by data['{0}'].astype(int), names by pd.factorize(data['{0}'])[0] + 1"
)


def whole_number(value: int, name: str, low: int = 1) -> int:
    """Return ``value``, of Python or numpy, as an ``int`` of at least ``low``.

    Raises ``ValueError``, which calls it ``name``, for anything else, fractions and bools too.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
        raise ValueError(f"{name} must be a whole number, at least {low}, got {value!r}")
    return int(value)


def check_trained(
    net: nn.Module, trainer: torch.optim.Optimizer, scheduler: LRScheduler | None
) -> None:
    """Raise ``ValueError`` for an optimizer of another network, or a schedule of another optimizer.

    Both would run to the end and leave the network, or the learning rate, as it is. A network with
    an empty parameter is refused too.
    """
    for name, parameter in net.named_parameters():
        if parameter.numel() == 0:
            raise ValueError(
                f"the network's {name} is empty, {tuple(parameter.shape)}: every size must be "
                "at least 1"
            )
    trained = {id(part) for group in trainer.param_groups for part in group["params"]}
    if not any(part.requires_grad and id(part) in trained for part in net.parameters()):
        raise ValueError(
            "the trainer holds no parameter of net that requires a gradient, so net would stay as "
            "it is: make the trainer anew from net.parameters()"
        )
    if scheduler is not None and getattr(scheduler, "optimizer", trainer) is not trainer:
        raise ValueError("the scheduler belongs to another optimizer: make it anew from trainer")


def column_of(data: pd.DataFrame, name: str) -> np.ndarray:
    """Return a column of numbers as int64 or float64, ``(num_rows,)``; missing ones become NaN.

    Raises ``TypeError`` for what is no table, and ``ValueError`` for a column that is missing,
    there twice, or no numbers.
    """
    if not isinstance(data, pd.DataFrame):
        raise TypeError(f"a table must be a pandas.DataFrame, got {type(data).__name__}")
    if (data.columns == name).sum() != 1:
        raise ValueError(
            f"the table needs one column {name!r}, it has {', '.join(map(str, data.columns))}; "
            "data.rename(columns={'old': 'new'}) gives columns other names"
        )
    column = data[name].infer_objects()
    if not (types.is_integer_dtype(column) or types.is_float_dtype(column)):
        values = column.to_numpy(object)
        i = next((i for i, value in enumerate(values) if not isinstance(value, Real)), 0)
        raise ValueError(
            f"{name} must be numbers, got {values[i]!r} ({data[name].dtype}) in data.iloc[{i}]; "
            + NUMBERED.format(name)
        )
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu":
        return column.to_numpy("int64")
    return column.to_numpy("float64", na_value=np.nan)


def check_ids(data: pd.DataFrame, num_users: int, num_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the users and the items of a table, ``(num_rows,)``, int64, from 1.

    Raises ``ValueError`` for an empty table, sizes that are none, and ids out of range.
    """
    ids = []
    for name, size in (("user_id", num_users), ("item_id", num_items)):
        limit = whole_number(size, f"num_{name[:4]}s")
        column = column_of(data, name)
        if len(column) == 0:
            raise ValueError("the table of ratings is empty")
        bad = ~((column >= 1) & (column <= limit) & (column == np.floor(column)))
        if bad.any():
            i = int(bad.argmax())
            raise ValueError(
                f"{name} must be whole numbers from 1 to {limit} (num_{name[:4]}s), "
                f"got {column[i]:.15g} in data.iloc[{i}]"
            )
        ids.append(column.astype("int64", copy=False))
    return ids[0], ids[1]


def check_pairs(users: np.ndarray, items: np.ndarray) -> None:
    """Raise ``ValueError`` for a user's second rating of an item."""
    keys = pd.Series(users * (items.max() + 1) + items)  # one number a pair
    twice = keys.duplicated().to_numpy()
    if twice.any():
        i = int(twice.argmax())
        raise ValueError(
            f"user {users[i]} rates item {items[i]} a second time in data.iloc[{i}]; keep one of "
            "them, as by data.drop_duplicates(['user_id', 'item_id'], keep='last')"
        )


def checksum(data: object, crc: int = 0) -> int:
    """Return one number for the tensors, arrays and numbers in a loader, a data set or a list."""
    if isinstance(data, DataLoader):
        data = data.dataset
    if isinstance(data, torch.Tensor):
        if data.layout != torch.strided:
            rows = data.to_sparse_csr()
            return checksum([rows.crow_indices(), rows.col_indices(), rows.values()], crc)
        crc = zlib.crc32(f"{data.shape} {data.dtype}".encode(), crc)
        data = data.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()
    if hasattr(data, "__array__"):
        array = np.ascontiguousarray(data)
        return crc if array.dtype.hasobject else zlib.crc32(array.view(np.uint8).data, crc)
    if isinstance(data, Number):
        return zlib.crc32(repr(data).encode(), crc)
    for part in data if isinstance(data, list | tuple) else getattr(data, "__dict__", {}).values():
        if isinstance(part, list | tuple | Dataset | Number) or hasattr(part, "__array__"):
            crc = checksum(part, crc)
    return crc
