"""Cut what lies in memory into batches: whole rows at once, without worker processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    Sampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from autorec_d2l.checks import whole_number

LAST_BATCH = ("keep", "discard", "rollover")


class Rows(Protocol):
    """Rows that cut themselves into batches, such as a :class:`RatingMatrix`."""

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def batches(self, indices: Iterable[Sequence[int]], /) -> Iterator[Any]:
        """Give a batch for each list of rows."""
        ...


Matrix = npt.ArrayLike | Rows


class RolloverBatchSampler:
    """Batches of ``batch_size`` indices; what is left over goes first in the next epoch.

    It is the ``last_batch="rollover"`` of MXNet's Gluon, which PyTorch does not have.
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
        """Return how many batches the next epoch has."""
        return (len(self.left_over) + len(self.sampler)) // self.batch_size  # type: ignore[arg-type]


class CutTogether(DataLoader):
    """A loader of rows that are cut faster together: ``dataset.batches`` takes a whole epoch."""

    def __iter__(self):
        """Start an epoch."""
        super().__iter__()  # draws from torch's generator, so that dropout is that of dense rows
        return self.dataset.batches(self.sampler)  # type: ignore[attr-defined]


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
    if target.dtype == torch.bool:
        raise TypeError("the last tensor of a batch has to hold ratings, it is a mask (bool)")
    features = [part.to(dtype if part.is_floating_point() else torch.int64) for part in features]
    return [*features, target.to(dtype)]


def check_in_order(test_iter: object) -> None:
    """Raise ``ValueError`` for a loader that shuffles rows which answers are aligned with."""
    sampler: Any = test_iter
    while hasattr(sampler, "sampler"):  # a loader has one, and so has a sampler of batches
        sampler = sampler.sampler
    if isinstance(sampler, RandomSampler | SubsetRandomSampler | WeightedRandomSampler):
        raise ValueError(
            "test_iter shuffles its rows, and those of inter_mat would belong to others: give the "
            "training rows in order, as load_array(..., is_train=False) does"
        )


def get_dataloader_workers() -> int:
    """Return 0: MovieLens lies in memory, where a worker process costs more than it saves."""
    return 0


def load_array(
    data_arrays: Sequence[Matrix] | Matrix,
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
    arrays: Any = data_arrays if isinstance(data_arrays, list | tuple) else (data_arrays,)
    if hasattr(arrays[0], "__array__"):  # a matrix of another kind cuts batches by itself
        arrays = as_tensors(arrays)
    dataset = TensorDataset(*arrays) if len(arrays) > 1 else arrays[0]
    if not is_train and last_batch != "rollover":
        stop = len(dataset) - (len(dataset) % batch_size if last_batch == "discard" else 0)
        slices = [slice(i, min(i + batch_size, stop)) for i in range(0, stop, batch_size)]
        return DataLoader(dataset, sampler=slices, batch_size=None)  # nothing is copied
    order: Any = range(len(dataset))
    if is_train:
        order = RandomSampler(dataset, generator=torch.Generator().manual_seed(seed))
    if last_batch == "rollover":
        batches: Any = RolloverBatchSampler(order, batch_size)
    else:
        batches = BatchSampler(order, batch_size, drop_last=last_batch == "discard")
    kind = CutTogether if hasattr(dataset, "batches") else DataLoader
    return kind(dataset, sampler=batches, batch_size=None)
