"""A matrix of ratings that stores the ratings alone."""

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

with warnings.catch_warnings():  # torch warns once a process that CSR tensors are in beta state
    warnings.simplefilter("ignore")
    torch.zeros(1, 1).to_sparse_csr()

# So many ratings are cut and sorted together: enough to share the cost of the calls, and few enough
# that the copies stay small beside the weights.
TOGETHER = 2**20


class RatingMatrix:
    """Ratings ``(num_rows, num_columns)`` in compressed sparse rows, checked once, here.

    ``rows`` and ``columns`` are indices from 0 in any order, ``ratings`` lie on the ``scale``,
    each ``(num_ratings,)``. The item-based model takes ``RatingMatrix(items, users, scores,
    (num_items, num_users))``, the user-based one ``RatingMatrix(users, items, scores, (num_users,
    num_items))``. Rows without a rating are allowed. It keeps 8 bytes a rating and 4 a row.

    Indexed by a list of rows it gives a batch, so that ``load_array((matrix,), batch_size)``
    goes through it as through a dense matrix, and in the same order.

    Arrays are taken as well as tensors. Raises ``ValueError`` for a matrix without ratings,
    indices out of range, a pair that is there twice and ratings off the scale.
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
        rows, columns, ratings = triples = as_tensors((rows, columns, ratings))
        _check_triples(rows, columns, ratings, shape)
        scale.check(ratings, "ratings", lambda i: _place(triples, i))
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

    def to(self, device: torch.device) -> RatingMatrix:
        """Return the matrix on a device; its batches are then cut there."""
        moved = copy.copy(self)
        moved.crow, moved.col = self.crow.to(device), self.col.to(device)
        moved.values = self.values.to(device)
        return moved

    def __getitem__(self, index: Sequence[int] | slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``(ratings, target)`` for some rows: the network's input, and what it is to say.

        ``ratings`` is a sparse CSR tensor ``(len(index), num_columns)`` and ``target`` its values,
        ``(num_ratings,)``, in stars. A slice of rows in order is not copied.
        """
        if not isinstance(index, slice):
            return next(self.batches([index]))
        start, stop, step = index.indices(len(self))
        if step != 1:
            return self[range(start, stop, step)]
        crow = self.crow[start : max(start, stop) + 1]  # (len(index) + 1,)
        low, high = crow[[0, -1]].tolist()
        cells = SparsityPattern(crow - low, self.col[low:high], (len(crow) - 1, self.shape[1]))
        ratings = cells.fill(self.values[low:high])
        return ratings, ratings.values()

    def batches(
        self, indices: Iterable[Sequence[int]]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Give ``(ratings, target)`` for each list of rows, many of them cut and sorted at once."""
        indices = list(indices)
        longest = max(map(len, indices), default=0)
        size = max(1, self.shape[1], len(self.values) * longest // len(self))
        together = max(1, TOGETHER // size)
        for first in range(0, len(indices), together):
            yield from self._cut(indices[first : first + together])

    def _cut(self, indices):
        """Take all rows out in one copy, sort it by batch and column, and give slices of it."""
        device, num_columns = self.crow.device, self.shape[1]
        rows = torch.tensor(list(chain.from_iterable(indices)), dtype=torch.long, device=device)
        crow = add_offsets(self.crow.diff()[rows])  # (num_rows + 1,), all batches in a line
        ends = list(accumulate(map(len, indices), initial=0))
        edges = crow[ends].tolist()  # where the ratings of each batch start
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
            cells = SparsityPattern(crow[ends[i] : ends[i + 1] + 1] - low, col[here], shape)
            offsets = columns[i * num_columns : (i + 1) * num_columns + 1] - low
            cells.by_column = (offsets, row[here], order[here] - low)
            ratings = cells.fill(values[here])
            yield ratings, ratings.values()

    def column_means(self, damping: float = 10.0) -> torch.Tensor:
        """Return the mean rating of each column, ``(num_columns,)``, in stars.

        It is shrunk towards the global mean, as if by ``damping`` more ratings equal to that.
        """
        mean = self.values.mean()
        sums = torch.zeros(self.shape[1]).index_add(0, self.col, self.values - mean)
        return mean + sums / (self.col.bincount(minlength=self.shape[1]) + damping)


def _place(triples: Sequence[torch.Tensor], i: int) -> str:
    return f"row {triples[0][i]}, column {triples[1][i]} (from 0)"


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
