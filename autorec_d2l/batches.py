"""Cut what lies in memory into batches: whole rows at once, without worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    Sampler,
    SequentialSampler,
    TensorDataset,
)

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


def as_tensors(batch: torch.Tensor | Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return a batch as a list: a tensor alone is a list of one, as a ``TensorDataset`` gives it.

    Arrays become tensors, and numbers of other types float32, as the networks' weights are;
    indices stay whole numbers. Raises ``TypeError`` for anything else.
    """
    batch = batch if isinstance(batch, (list, tuple)) else [batch]
    try:
        return [torch.as_tensor(part) for part in batch]
    except (TypeError, ValueError, RuntimeError) as error:
        kinds = ", ".join(type(part).__name__ for part in batch)
        raise TypeError(f"a batch must be tensors or numbers in arrays, got {kinds}") from error


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
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if last_batch not in LAST_BATCH:
        raise ValueError(f"last_batch must be one of {', '.join(LAST_BATCH)}, got {last_batch!r}")
    dataset = TensorDataset(*data_arrays) if len(data_arrays) > 1 else data_arrays[0]
    if is_train:
        order = RandomSampler(dataset, generator=torch.Generator().manual_seed(seed))
    else:
        order = SequentialSampler(dataset)
    if last_batch == "rollover":
        batches = RolloverBatchSampler(order, batch_size)
    else:
        batches = BatchSampler(order, batch_size, drop_last=last_batch == "discard")
    return DataLoader(dataset, sampler=batches, batch_size=None)
