"""A matrix of ratings that stores the ratings alone, and two products that read nothing else.

Each product reads one row of weights for one rating, and each is the other's gradient:

- a *weighted sum of rows*: ``out[r]`` adds ``values[e] * dense[col[e]]`` over the ratings ``e`` of
  row ``r`` (sparse times dense), AutoRec's encoder;
- a *dot product at each cell*: ``out[e] = left[row[e]] @ right[col[e]]`` (dense times dense,
  sampled where there are ratings), AutoRec's decoder.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from autorec_d2l.models import check_sizes

with warnings.catch_warnings():  # torch warns once a process that CSR tensors are in beta state
    warnings.simplefilter("ignore")
    torch.zeros(1, 1).to_sparse_csr()


class RatingMatrix:
    """Ratings ``(num_rows, num_columns)`` in compressed sparse rows, checked once, here.

    ``rows`` and ``columns`` are indices from 0 in any order, ``ratings`` are stars from 1 to 5,
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
    ):
        check_sizes(num_rows=shape[0], num_columns=shape[1])
        _check_triples(rows, columns, ratings, shape)
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


class Cells:
    """The cells of a sparse CSR tensor, by row, and when a gradient asks for it by column."""

    def __init__(self, ratings: torch.Tensor):
        self.crow, self.col = ratings.crow_indices(), ratings.col_indices()
        self.shape = ratings.shape

    @cached_property
    def row(self) -> torch.Tensor:
        """The row of each cell, ``(num_cells,)``."""
        rows = torch.arange(self.shape[0], dtype=self.crow.dtype, device=self.crow.device)
        return torch.repeat_interleave(rows, self.crow.diff())

    @cached_property
    def by_column(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """``(ccol, row, order)``: offsets, rows and places of the cells sorted by column."""
        order = self.col.argsort(stable=True)
        return count_offsets(self.col, self.shape[1]), self.row[order], order


class SumRows(torch.autograd.Function):
    """``values`` at ``cells``, times ``dense`` ``(num_columns, k)``: gives ``(num_rows, k)``."""

    @staticmethod
    def forward(ctx, values: torch.Tensor, dense: torch.Tensor, cells: Cells) -> torch.Tensor:
        """Return the weighted sums of rows of ``dense``."""
        ctx.save_for_backward(values, dense)
        ctx.cells = cells
        return _sum_rows(cells.crow, cells.col, values, dense)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        """Return gradients: dot products at cells for ``values``, sums by column for ``dense``."""
        values, dense = ctx.saved_tensors
        grad_values = grad_dense = None
        if ctx.needs_input_grad[0]:
            grad_values = _dot_cells(ctx.cells, grad, dense)
        if ctx.needs_input_grad[1]:
            ccol, row, order = ctx.cells.by_column
            grad_dense = _sum_rows(ccol, row, values[order], grad)
        return grad_values, grad_dense, None


class DotCells(torch.autograd.Function):
    """``left`` ``(num_rows, k)`` times ``right`` ``(num_columns, k)``: gives ``(num_cells,)``."""

    @staticmethod
    def forward(ctx, left: torch.Tensor, right: torch.Tensor, cells: Cells) -> torch.Tensor:
        """Return the dot products at ``cells``."""
        ctx.save_for_backward(left, right)
        ctx.cells = cells
        return _dot_cells(cells, left, right)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        """Return gradients: sums by row for ``left``, sums by column for ``right``."""
        left, right = ctx.saved_tensors
        cells, grad_left, grad_right = ctx.cells, None, None
        if ctx.needs_input_grad[0]:
            grad_left = _sum_rows(cells.crow, cells.col, grad, right)
        if ctx.needs_input_grad[1]:
            ccol, row, order = cells.by_column
            grad_right = _sum_rows(ccol, row, grad[order], left)
        return grad_left, grad_right, None


def _sum_rows(offsets, indices, weights, dense) -> torch.Tensor:
    return nn.functional.embedding_bag(
        indices, dense, offsets, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


def _dot_cells(cells, left, right) -> torch.Tensor:
    # By column: each row of `right` is then read once a batch, and `left` stays in the cache.
    ccol, row, order = cells.by_column
    pattern = torch.sparse_csr_tensor(
        ccol, row, left.new_zeros(len(row)), cells.shape[::-1], check_invariants=False
    )
    dots = torch.sparse.sampled_addmm(pattern, right, left.t(), beta=0).values()
    return torch.empty_like(dots).index_copy_(0, order, dots)


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
    low, high = (float(extreme) for extreme in ratings.aminmax())  # both NaN if one rating is
    if not (low >= 1 and high <= 5):
        raise ValueError(f"ratings must be 1 to 5 stars, got {low:g} to {high:g}")
