"""Batch in-memory data: whole batches at once, without worker processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from autorec_d2l.data.validation import check_integer


class RolloverBatchSampler:
    """Batches of ``batch_size`` indices; what is left over comes first in the next epoch.

    This is ``last_batch="rollover"`` of MXNet's Gluon, which PyTorch lacks.
    """

    def __init__(self, sampler: Sampler | range, batch_size: int):
        self.sampler, self.batch_size = sampler, batch_size
        self.left_over: list[int] = []

    def __iter__(self) -> Iterator[list[int]]:
        """Start an epoch."""
        indices = [*self.left_over, *self.sampler]
        end = len(indices) - len(indices) % self.batch_size
        self.left_over = indices[end:]
        for start in range(0, end, self.batch_size):
            yield indices[start : start + self.batch_size]

    def __len__(self) -> int:
        """Return the most batches that an epoch can have, so that no schedule ends too early."""
        return -(-len(self.sampler) // self.batch_size)  # type: ignore[arg-type]


class Columns(TensorDataset):
    """Tensors that share their first axis; a list of rows is converted once for all of them."""

    def __getitem__(self, index):
        """Return the rows of a batch: a list of indices, a slice or one index."""
        index = torch.from_numpy(np.array(index)) if isinstance(index, list) else index
        return super().__getitem__(index)


class BulkLoader(DataLoader):
    """A loader whose data set prepares all batches of an epoch together, which is faster."""

    def __iter__(self):
        """Start an epoch."""
        super().__iter__()  # draws from torch's generator, so that dropout is that of dense rows
        return self.dataset.batches(self.sampler)  # type: ignore[attr-defined]


def as_tensors(batch: object) -> list[torch.Tensor]:
    """Return a batch as a list of tensors; a single one becomes a list of one.

    Arrays, pandas' columns and lists of numbers become tensors.
    """
    parts = batch if isinstance(batch, list | tuple) else [batch]
    return [part if isinstance(part, torch.Tensor) else _as_tensor(part) for part in parts]


def _as_tensor(part: object) -> torch.Tensor:
    # torch warns of an array that it cannot write to, as pandas returns it.
    return torch.from_numpy(np.require(part, requirements=["C", "W"]))


def batches_for(
    net: nn.Module, data_iter: Iterable, device: torch.device | None = None
) -> Iterator[list[torch.Tensor]]:
    """Yield each batch as tensors of the number type of ``net``, on its device or on ``device``.

    Integers before the last tensor are indices and become int64.

    Raises ``TypeError`` for a mask (bool) in place of ratings, and ``ValueError`` where
    ``data_iter`` is empty.
    """
    floats = (part for part in net.parameters() if part.is_floating_point())
    parameter, batch = next(floats, torch.empty(0)), None
    dtype, device = parameter.dtype, device or parameter.device
    for batch in map(as_tensors, data_iter):
        if batch[-1].dtype == torch.bool:
            raise TypeError("the last tensor of a batch must hold ratings, got a mask (bool)")
        dtypes = [dtype if part.is_floating_point() else torch.int64 for part in batch[:-1]]
        # The number type comes first: not every device has float64.
        yield [part.to(kind).to(device) for part, kind in zip(batch, [*dtypes, dtype], strict=True)]
    if batch is None:
        raise ValueError(
            "the data iterator yields no batch: it has fewer rows than a batch, or is a generator, "
            "which can be used only once; use a list or a DataLoader"
        )


def check_in_order(test_iter: object) -> None:
    """Raise ``ValueError`` for a loader that shuffles rows which answers are aligned with."""
    sampler: Any = test_iter
    while hasattr(sampler, "sampler"):  # of a loader, and of a sampler of batches
        sampler = sampler.sampler
    if isinstance(sampler, RandomSampler | SubsetRandomSampler | WeightedRandomSampler):
        raise ValueError(
            "test_iter shuffles its rows, which would not match those of the test matrix: load the "
            "training rows with load_array(..., is_train=False)"
        )


def get_dataloader_workers() -> int:
    """Return 0: MovieLens lies in memory, where a worker process costs more than it saves."""
    return 0


def load_array(
    data_arrays: Any,
    batch_size: int,
    is_train: bool = True,
    seed: int = 0,
    last_batch: str = "keep",
) -> DataLoader:
    """Return an iterator over batches of tensors that share their first axis.

    One tensor gives tensors ``(batch, ...)``, several give tuples of them. ``is_train`` shuffles
    with ``seed``, differently in each epoch. ``last_batch`` decides, as in MXNet's Gluon, about
    rows that do not fill a batch: ``keep`` (a shorter batch), ``discard``, or ``rollover`` (they
    come first in the next epoch). A batch is one index operation, so no workers are needed.

    Raises ``ValueError`` for a ``batch_size`` below 1, a ``seed`` below 0 and any other
    ``last_batch``.
    """
    batch_size = check_integer(batch_size, "batch_size")
    if last_batch not in ("keep", "discard", "rollover"):
        raise ValueError(f"last_batch must be keep, discard or rollover, got {last_batch!r}")
    arrays: Any = data_arrays if isinstance(data_arrays, list | tuple) else (data_arrays,)
    if hasattr(arrays[0], "__array__"):  # other matrices make their own batches
        arrays = as_tensors(arrays)
    dataset = Columns(*arrays) if len(arrays) > 1 else arrays[0]
    if not is_train and last_batch != "rollover":
        stop = len(dataset) - (len(dataset) % batch_size if last_batch == "discard" else 0)
        slices = [slice(i, min(i + batch_size, stop)) for i in range(0, stop, batch_size)]
        return DataLoader(dataset, sampler=slices, batch_size=None)  # nothing is copied
    order: Any = range(len(dataset))
    if is_train:
        generator = torch.Generator().manual_seed(check_integer(seed, "seed", 0))
        order = RandomSampler(dataset, generator=generator)
    batches: Any = BatchSampler(order, batch_size, drop_last=last_batch == "discard")
    if last_batch == "rollover":
        batches = RolloverBatchSampler(order, batch_size)
    kind = BulkLoader if hasattr(dataset, "batches") else DataLoader
    return kind(dataset, sampler=batches, batch_size=None)


def loader_state(train_iter: Any) -> dict | list[tuple]:
    """Return the state, between two epochs, that determines the order of the next ones.

    Supports lists, what :func:`load_array` returns, a ``DataLoader`` that shuffles or not, and any
    loader with ``state_dict()`` and ``load_state_dict(state)``, such as those of ``torchdata``.
    Raises ``TypeError`` for the rest.
    """
    if hasattr(train_iter, "state_dict"):
        return train_iter.state_dict()
    return [
        (generator and generator.get_state(), getattr(part, "left_over", None))
        for part, generator in _samplers(train_iter)
    ]


def restore_loader_state(train_iter: Any, state: Any) -> None:
    """Restore what :func:`loader_state` returned."""
    if hasattr(train_iter, "state_dict"):
        return train_iter.load_state_dict(state)
    for (part, generator), (saved, left_over) in zip(_samplers(train_iter), state, strict=True):
        if generator:
            generator.set_state(saved)
        if left_over is not None:
            part.left_over = left_over


def _samplers(train_iter) -> list[tuple[Any, torch.Generator | None]]:
    """Return a loader and its samplers, from the outside in, each with its generator."""
    known = DataLoader, BulkLoader, BatchSampler, RandomSampler, RolloverBatchSampler
    known += SequentialSampler, list, tuple, range
    parts, part = [], train_iter
    while part is not None:
        if type(part) not in known or getattr(part, "persistent_workers", False):
            raise TypeError(
                f"a checkpoint cannot hold the state of train_iter, a {type(part).__name__}: use "
                "load_array, or give it state_dict() and load_state_dict(state)"
            )
        parts.append((part, getattr(part, "generator", None)))
        sampler = getattr(part, "batch_sampler", None)
        part = getattr(part, "sampler", None) if sampler is None else sampler
    return parts
