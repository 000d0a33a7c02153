"""A sparse matrix of ratings and its batches."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, pairwise

import numpy.typing as npt
import torch

from autorec_d2l.data.loaders import as_tensors
from autorec_d2l.data.rating_scale import STARS, RatingScale
from autorec_d2l.data.validation import check_integer
from autorec_d2l.sparse.pattern import SparsityPattern, add_offsets, count_offsets, repeat_rows

with warnings.catch_warnings():  # torch warns once per process that CSR tensors are in beta
    warnings.simplefilter("ignore")
    torch.zeros(1, 1).to_sparse_csr()

# Batches are prepared in groups of about this many ratings: enough to amortize the cost of a call,
# and few enough that the copies stay small compared with the weights.
GROUP_SIZE = 2**20


class RatingMatrix:
    """Ratings ``(num_rows, num_columns)`` in compressed sparse rows (CSR).

    ``rows`` and ``columns`` are indices from 0 in any order, ``ratings`` are numbers on ``scale``;
    all are tensors or arrays ``(num_ratings,)``. For the item-based model use
    ``RatingMatrix(items, users, scores, (num_items, num_users))``, for the user-based one
    ``RatingMatrix(users, items, scores, (num_users, num_items))``. Rows may be empty. It takes 8
    bytes per rating and 4 per row.

    ``load_array((matrix,), batch_size)`` yields the same rows as for a dense matrix.

    Raises ``ValueError`` for an empty matrix, indices out of range, a cell that occurs twice, and
    ratings that are not on the scale.
    """

    def __init__(
        self,
        rows: npt.ArrayLike,
        columns: npt.ArrayLike,
        ratings: npt.ArrayLike,
        shape: tuple[int, int],
        scale: RatingScale = STARS,
    ):
        shape = check_integer(shape[0], "num_rows"), check_integer(shape[1], "num_columns")
        rows, columns, ratings = as_tensors((rows, columns, ratings))
        _check_triples(rows, columns, ratings, shape, scale)
        keys = rows.long() * shape[1] + columns  # one number per cell, in row-major order
        if not bool((keys.diff() > 0).all()):
            keys, order = keys.sort()
            columns, ratings = columns[order], ratings[order]
            twice = keys[1:][keys.diff() == 0]
            if len(twice):
                row, column = divmod(int(twice[0]), shape[1])
                raise ValueError(f"row {row}, column {column} (from 0) occurs twice")
        # The kernels also take 32-bit indices, half the memory to read.
        self.crow = count_offsets(rows, shape[0])  # (num_rows + 1,), the start of each row
        self.col = columns.int()  # (num_ratings,)
        self.values = ratings.float()  # (num_ratings,), stars
        self.shape = shape

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def to(self, device: torch.device) -> RatingMatrix:
        """Return the matrix on a device, where its batches are then made."""
        moved = copy.copy(self)
        moved.crow, moved.col = self.crow.to(device), self.col.to(device)
        moved.values = self.values.to(device)
        return moved

    def __getitem__(self, index: Sequence[int] | slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``(ratings, target)`` for some rows: the network's input and its target.

        ``ratings`` is a sparse CSR tensor ``(len(index), num_columns)`` and ``target`` its values,
        ``(num_ratings,)``, in stars. A slice with step 1 is a view.
        """
        if not isinstance(index, slice):
            return next(self.batches([index]))
        start, stop, step = index.indices(len(self))
        if step != 1:
            return self[range(start, stop, step)]
        crow = self.crow[start : max(start, stop) + 1]  # (len(index) + 1,)
        low, high = crow[[0, -1]].tolist()
        pattern = SparsityPattern(crow - low, self.col[low:high], (len(crow) - 1, self.shape[1]))
        ratings = pattern.fill(self.values[low:high])
        return ratings, ratings.values()

    def batches(
        self, indices: Iterable[Sequence[int]]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield ``(ratings, target)`` for each list of rows, preparing many batches at a time."""
        indices = list(indices)
        longest = max(map(len, indices), default=0)
        size = max(1, self.shape[1], len(self.values) * longest // len(self))
        step = max(1, GROUP_SIZE // size)  # batches
        for first in range(0, len(indices), step):
            yield from self._make_batches(indices[first : first + step])

    def _make_batches(self, indices):
        """Copy all rows at once, sort the copy by batch and column, and yield slices of it."""
        device, num_columns = self.crow.device, self.shape[1]
        rows = torch.tensor(list(chain.from_iterable(indices)), dtype=torch.long, device=device)
        crow = add_offsets(self.crow.diff()[rows])  # (num_rows + 1,), of all batches
        ends = list(accumulate(map(len, indices), initial=0))
        edges = crow[ends].tolist()  # the first rating of each batch
        row = repeat_rows(crow, edges[-1])  # (num_ratings,)
        places = (self.crow[:-1][rows] - crow[:-1]).index_select(0, row)
        places += torch.arange(edges[-1], dtype=places.dtype, device=device)
        col, values = self.col.index_select(0, places), self.values.index_select(0, places)
        starts = torch.tensor(ends, dtype=torch.int32, device=device)
        batch = repeat_rows(starts, len(rows))  # (num_rows,)
        keys = (batch * num_columns).index_select(0, row) + col
        order = keys.argsort(stable=True)
        columns = count_offsets(keys, len(indices) * num_columns)
        within = torch.arange(len(rows), dtype=torch.int32, device=device) - starts[batch]
        row = within.index_select(0, row.index_select(0, order))  # in the batch, by column
        for i, (low, high) in enumerate(pairwise(edges)):
            here, shape = slice(low, high), (len(indices[i]), num_columns)
            pattern = SparsityPattern(crow[ends[i] : ends[i + 1] + 1] - low, col[here], shape)
            offsets = columns[i * num_columns : (i + 1) * num_columns + 1] - low
            pattern.by_column = (offsets, row[here], order[here] - low)
            ratings = pattern.fill(values[here])
            yield ratings, ratings.values()

    def column_means(self, damping: float = 10.0) -> torch.Tensor:
        """Return the mean rating of each column, ``(num_columns,)``, in stars.

        The means are shrunk towards the global mean, as if by ``damping`` more ratings equal to it.
        """
        mean = self.values.mean()
        sums = torch.zeros(self.shape[1]).index_add(0, self.col, self.values - mean)
        return mean + sums / (self.col.bincount(minlength=self.shape[1]) + damping)


def _check_triples(rows, columns, ratings, shape, scale) -> None:
    """Raise ``ValueError`` for the first invalid triple, and for lengths that differ."""
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
    scale.check(ratings, "ratings", lambda i: f"row {rows[i]}, column {columns[i]} (from 0)")
