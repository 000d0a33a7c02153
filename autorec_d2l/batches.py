"""Cut what lies in memory into batches: whole rows at once, without worker processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    Sampler,
    SequentialSampler,
    TensorDataset,
)

from autorec_d2l.checks import whole_number

LAST_BATCH = ("keep", "discard", "rollover")


class RolloverBatchSampler:
    """Batches of ``batch_size`` indices; what is left over goes first in the next epoch.

    It is the ``last_batch="rollover"`` of MXNet's Gluon, which PyTorch does not have.
    """

    def __init__(self, sampler: Sampler, batch_size: int):
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
        """Return how many batches the next epoch has."""
        return (len(self.left_over) + len(self.sampler)) // self.batch_size


class _CutTogether(DataLoader):
    """A loader of rows that are cut faster together: ``dataset.batches`` takes a whole epoch."""

    def __iter__(self):
        """Start an epoch."""
        super().__iter__()  # draws from torch's generator, so that dropout is that of dense rows
        return self.dataset.batches(self.sampler)


def as_tensors(batch: object) -> list[torch.Tensor]:
    """Return a batch as a list of tensors: one alone is a list of one, as in a ``TensorDataset``.

    Arrays, pandas' columns and lists of numbers become tensors. Raises ``TypeError`` for the rest.
    """
    parts = batch if isinstance(batch, list | tuple) else [batch]
    try:
        return [_as_tensor(part) for part in parts]
    except (TypeError, ValueError) as error:
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise TypeError(
            f"a batch has to be a tensor or an array of numbers, or several, got {kinds}"
        ) from error


def _as_tensor(part: object) -> torch.Tensor:
    if isinstance(part, torch.Tensor):
        return part
    if not (hasattr(part, "__array__") or isinstance(part, list | tuple | int | float)):
        raise TypeError
    # torch warns of an array that it cannot write to, as pandas gives it.
    return torch.from_numpy(np.require(part, requirements=["C", "W"]))


def as_numbers(batch: object, net: nn.Module) -> list[torch.Tensor]:
    """Return a batch as tensors of the number types that ``net`` computes with.

    Whole numbers before the last tensor are indices and become int64; all else gets the type of
    the network's parameters.
    """
    dtypes = (parameter.dtype for parameter in net.parameters())
    dtype = next((dtype for dtype in dtypes if dtype.is_floating_point), torch.float32)
    *features, target = as_tensors(batch)
    features = [part.to(dtype if part.is_floating_point() else torch.int64) for part in features]
    return [*features, target.to(dtype)]


def get_dataloader_workers() -> int:
    """Return 0: MovieLens lies in memory, where a worker process costs more than it saves."""
    return 0


def load_array(
    data_arrays: tuple[torch.Tensor, ...],
    batch_size: int,
    is_train: bool = True,
    seed: int = 0,
    last_batch: str = "keep",
) -> DataLoader:
    """Return an iterator over batches of tensors that share their first axis.

    One tensor gives tensors ``(batch, ...)``, several give tuples of them. ``is_train`` shuffles
    with ``seed``, anew each epoch. ``last_batch`` says, as in MXNet's Gluon, what becomes of rows
    that do not fill a batch: ``keep`` (a shorter batch), ``discard``, or ``rollover`` (they go
    first in the next epoch). A batch is cut out with one index operation instead of row by row,
    so that no worker processes are needed.

    Raises ``ValueError`` for a ``batch_size`` below 1 and any other ``last_batch``.
    """
    batch_size, seed = whole_number(batch_size, "batch_size"), whole_number(seed, "seed", 0)
    if last_batch not in LAST_BATCH:
        raise ValueError(f"last_batch must be one of {', '.join(LAST_BATCH)}, got {last_batch!r}")
    if not isinstance(data_arrays, list | tuple):
        data_arrays = (data_arrays,)
    if hasattr(data_arrays[0], "__array__"):  # a matrix of another kind cuts batches by itself
        data_arrays = as_tensors(data_arrays)
    dataset = TensorDataset(*data_arrays) if len(data_arrays) > 1 else data_arrays[0]
    if not is_train and last_batch != "rollover":
        stop = len(dataset) - (len(dataset) % batch_size if last_batch == "discard" else 0)
        slices = [slice(i, min(i + batch_size, stop)) for i in range(0, stop, batch_size)]
        return DataLoader(dataset, sampler=slices, batch_size=None)  # nothing is copied
    order = range(len(dataset))
    if is_train:
        order = RandomSampler(dataset, generator=torch.Generator().manual_seed(seed))
    if last_batch == "rollover":
        batches = RolloverBatchSampler(order, batch_size)
    else:
        batches = BatchSampler(order, batch_size, drop_last=last_batch == "discard")
    kind = _CutTogether if hasattr(dataset, "batches") else DataLoader
    return kind(dataset, sampler=batches, batch_size=None)


def order_of(train_iter: object) -> dict | list[dict]:
    """Return the state that the order of the next epochs depends on, between two epochs.

    It is known for a list, for what :func:`load_array` returns, and for a ``DataLoader`` that
    shuffles or not. Another loader says it by ``state_dict()`` and takes it by
    ``load_state_dict(state)``, as those of ``torchdata`` do. Raises ``TypeError`` for the rest.
    """
    if hasattr(train_iter, "state_dict"):
        return train_iter.state_dict()
    return [
        {"generator": random and random.get_state(), "left_over": getattr(part, "left_over", None)}
        for part, random in _parts(train_iter)
    ]


def restore_order(train_iter: object, order: dict | list[dict]) -> None:
    """Put a loader where :func:`order_of` found it."""
    if hasattr(train_iter, "state_dict"):
        return train_iter.load_state_dict(order)
    for (part, random), state in zip(_parts(train_iter), order, strict=True):
        if random:
            random.set_state(state["generator"])
        if state["left_over"] is not None:
            part.left_over = state["left_over"]


def describe_order(train_iter: object) -> str:
    """Say how a loader makes its batches, in words that stay while it is used."""
    if hasattr(train_iter, "state_dict"):
        return type(train_iter).__name__
    words = []
    for part, random in _parts(train_iter):
        size = len(part) if isinstance(part, list) else getattr(part, "batch_size", None)
        options = {
            "size": size,
            "drop_last": getattr(part, "drop_last", None),
            "seed": random and random.initial_seed(),
        }
        given = [f"{name} {value}" for name, value in options.items() if value is not None]
        words.append(f"{type(part).__name__} ({', '.join(given)})")
    return ", ".join(words)


def _parts(train_iter) -> list[tuple[object, torch.Generator | None]]:
    """Return a loader and what orders its rows, from the outside in, each with its generator."""
    known = DataLoader, _CutTogether, BatchSampler, RandomSampler, RolloverBatchSampler
    known += SequentialSampler, list, tuple, range  # what has no state of another kind
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
