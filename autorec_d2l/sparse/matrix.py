"""A matrix of ratings that stores the ratings alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral

import torch
from torch import nn

from autorec_d2l.scale import STARS, Scale

with warnings.catch_warnings():  # torch warns once a process that CSR tensors are in beta state
    warnings.simplefilter("ignore")
    torch.zeros(1, 1).to_sparse_csr()


class RatingMatrix:
    """Ratings ``(num_rows, num_columns)`` in compressed sparse rows, checked once, here.

    ``rows`` and ``columns`` are indices from 0 in any order, ``ratings`` lie on the ``scale``,
    each ``(num_ratings,)``. The item-based model takes ``RatingMatrix(items, users, scores,
    (num_items, num_users))``, the user-based one ``RatingMatrix(users, items, scores, (num_users,
    num_items))``. Rows without a rating are allowed. It keeps 8 bytes a rating and 4 a row.

    Indexed by a list of rows it gives a batch, so that ``load_array((matrix,), batch_size)``
    goes through it as through a dense matrix, and in the same order.

    Raises ``ValueError`` for a matrix without ratings, indices out of range, a pair that is there
    twice and ratings off the scale.
    """

    def __init__(
        self,
        rows: torch.Tensor,
        columns: torch.Tensor,
        ratings: torch.Tensor,
        shape: tuple[int, int],
        scale: Scale = STARS,
    ):
        check_sizes(num_rows=shape[0], num_columns=shape[1])
        _check_triples(rows, columns, ratings, shape)
        scale.check(ratings, "ratings")
        keys = rows.long() * shape[1] + columns  # one number a cell, in reading order
        if not bool((keys.diff() > 0).all()):
            keys, order = keys.sort()
            columns, ratings = columns[order], ratings[order]
            twice = keys[1:][keys.diff() == 0]
            if len(twice):
                row, column = divmod(int(twice[0]), shape[1])
                raise ValueError(f"row {row}, column {column} (from 0) is rated twice")
        # The kernels take indices of 32 bits as well, and read half as much.
        self.crow = count_offsets(rows, shape[0])  # (num_rows + 1,), where each row starts
        self.col = columns.int()  # (num_ratings,)
        self.values = ratings.float()  # (num_ratings,), stars
        self.shape = shape

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def __getitem__(self, index: Sequence[int] | slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``(ratings, target)`` for some rows: the network's input, and what it is to say.

        ``ratings`` is a sparse CSR tensor ``(len(index), num_columns)`` and ``target`` its values,
        ``(num_ratings,)``, in stars.
        """
        index = torch.arange(len(self))[index]
        starts = self.crow[index]  # (len(index),)
        counts = self.crow[index + 1] - starts
        crow = nn.functional.pad(counts.cumsum(0, dtype=torch.int32), (1, 0))
        places = torch.arange(int(crow[-1])) + torch.repeat_interleave(starts - crow[:-1], counts)
        ratings = torch.sparse_csr_tensor(
            crow,
            self.col[places],
            self.values[places],
            (len(index), self.shape[1]),
            check_invariants=False,  # checked when the matrix was made
        )
        return ratings, ratings.values()

    def column_means(self, damping: float = 10.0) -> torch.Tensor:
        """Return the mean rating of each column, ``(num_columns,)``, in stars.

        It is shrunk towards the global mean, as if by ``damping`` more ratings equal to that.
        """
        mean = self.values.mean()
        sums = torch.zeros(self.shape[1]).index_add(0, self.col, self.values - mean)
        return mean + sums / (self.col.bincount(minlength=self.shape[1]) + damping)


def count_offsets(indices: torch.Tensor, size: int) -> torch.Tensor:
    """Return where each of ``size`` groups starts if the indices are sorted, ``(size + 1,)``."""
    counts = torch.bincount(indices, minlength=size)
    return nn.functional.pad(counts.cumsum(0, dtype=torch.int32), (1, 0))


def _check_triples(rows, columns, ratings, shape) -> None:
    """Raise ``ValueError`` for the first fault of ``(row, column, rating)`` triples."""
    if not len(rows) == len(columns) == len(ratings):
        raise ValueError(
            f"rows, columns and ratings must be of one length, got {len(rows):,}, "
            f"{len(columns):,} and {len(ratings):,}"
        )
    if len(ratings) == 0:
        raise ValueError("the matrix is empty: it has no rating")
    for name, indices, size in (("row", rows, shape[0]), ("column", columns, shape[1])):
        if indices.is_floating_point():
            raise ValueError(f"{name} indices must be whole numbers, got {indices.dtype}")
        low, high = (int(extreme) for extreme in indices.aminmax())
        if low < 0 or high >= size:
            raise ValueError(f"{name} indices must be 0 to {size - 1}, got {low} to {high}")


def check_sizes(**sizes: int) -> None:
    """Raise ``ValueError`` naming the first argument that is not a whole number above 0."""
    for name, size in sizes.items():
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{name} must be a whole number above 0, got {size!r}")
