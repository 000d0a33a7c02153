"""Two products that read one row of weights for one rating, and nothing else.

- A *weighted sum of rows*: ``out[r]`` adds ``values[e] * dense[col[e]]`` over the ratings ``e`` of
  row ``r`` (sparse times dense). It is AutoRec's encoder.
- A *dot product at each cell*: ``out[e] = left[row[e]] @ right[col[e]]`` (dense times dense,
  sampled where there are ratings). It is AutoRec's decoder.

Each is the other's gradient, so two kernels of torch are enough for the whole training step.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from autorec_d2l.sparse.matrix import count_offsets

# glibc hands a large block of freed memory back to the system, and to get a gradient's again costs
# as much as to compute it, unless a larger one was freed before. Free one of 31 MB, untouched.
torch.empty(31 * 2**20, dtype=torch.uint8)

# A sum by row reads rows of weights in no order. Taken in blocks of so many, they stay in the
# cache: 8 MB at 500 hidden units. Below twice as many, blocks do not pay.
BLOCK = 4096


class Cells:
    """The cells of a sparse CSR tensor ``(num_rows, num_columns)``, in the orders of the products.

    ``by_row`` and ``by_column`` are ``(offsets, indices, order)``: where each sum starts, the
    column (the row) of each cell, and its place in the tensor.
    """

    def __init__(self, ratings: torch.Tensor):
        self.crow, self.col = ratings.crow_indices(), ratings.col_indices()
        self.shape = ratings.shape

    @cached_property
    def row(self) -> torch.Tensor:
        """The row of each cell, ``(num_cells,)``."""
        rows = torch.arange(self.shape[0], dtype=self.crow.dtype, device=self.crow.device)
        return torch.repeat_interleave(rows, self.crow.diff())

    @cached_property
    def by_row(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | slice]:
        """Sums by row: first all that the first block of columns adds, then the next block."""
        num_blocks = self.shape[1] // BLOCK
        if num_blocks < 2 or self.col.is_cuda:
            return self.crow, self.col, slice(None)
        sums = self.col // -(-self.shape[1] // num_blocks) * self.shape[0] + self.row
        order = sums.argsort(stable=True)
        return count_offsets(sums, num_blocks * self.shape[0]), self.col[order], order

    @cached_property
    def by_column(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sums by column, over the rows of a batch, which always fit the cache."""
        order = self.col.argsort(stable=True)
        return count_offsets(self.col, self.shape[1]), self.row[order], order


class SumRows(torch.autograd.Function):
    """``values`` at ``cells``, times ``dense`` ``(num_columns, k)``: gives ``(num_rows, k)``."""

    @staticmethod
    def forward(ctx, values: torch.Tensor, dense: torch.Tensor, cells: Cells) -> torch.Tensor:
        """Return the weighted sums of rows of ``dense``."""
        ctx.save_for_backward(values, dense)
        ctx.cells = cells
        return sum_by_row(cells, values, dense)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        """Return gradients: dot products at cells for ``values``, sums by column for ``dense``."""
        values, dense = ctx.saved_tensors
        grad_values = grad_dense = None
        if ctx.needs_input_grad[0]:
            grad_values = dot_cells(ctx.cells, grad, dense)
        if ctx.needs_input_grad[1]:
            grad_dense = sum_by_column(ctx.cells, values, grad)
        return grad_values, grad_dense, None


class DotCells(torch.autograd.Function):
    """``left`` ``(num_rows, k)`` times ``right`` ``(num_columns, k)``: gives ``(num_cells,)``."""

    @staticmethod
    def forward(ctx, left: torch.Tensor, right: torch.Tensor, cells: Cells) -> torch.Tensor:
        """Return the dot products at ``cells``."""
        ctx.save_for_backward(left, right)
        ctx.cells = cells
        return dot_cells(cells, left, right)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        """Return gradients: sums by row for ``left``, sums by column for ``right``."""
        left, right = ctx.saved_tensors
        grad_left = grad_right = None
        if ctx.needs_input_grad[0]:
            grad_left = sum_by_row(ctx.cells, grad, right)
        if ctx.needs_input_grad[1]:
            grad_right = sum_by_column(ctx.cells, grad, left)
        return grad_left, grad_right, None


def sum_rows(
    offsets: torch.Tensor, indices: torch.Tensor, weights: torch.Tensor, dense: torch.Tensor
) -> torch.Tensor:
    """Return sums of rows of ``dense`` ``(n, k)``, ``(len(offsets) - 1, k)``.

    Sum ``r`` adds ``weights[e] * dense[indices[e]]`` for ``e`` from ``offsets[r]`` to
    ``offsets[r + 1] - 1``.
    """
    return nn.functional.embedding_bag(
        indices,
        dense.detach(),
        offsets,
        mode="sum",
        per_sample_weights=weights,
        include_last_offset=True,
    )


def sum_by_row(cells: Cells, values: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
    """Return ``values`` at ``cells`` times ``dense`` ``(num_columns, k)``: ``(num_rows, k)``."""
    offsets, columns, order = cells.by_row
    sums = sum_rows(offsets, columns, values[order], dense)  # (num_blocks * num_rows, k)
    if len(sums) == cells.shape[0]:  # one block
        return sums
    return sums.unflatten(0, (-1, cells.shape[0])).sum(0)


def sum_by_column(cells: Cells, values: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
    """Return the transpose, times ``dense`` ``(num_rows, k)``: ``(num_columns, k)``."""
    offsets, rows, order = cells.by_column
    return sum_rows(offsets, rows, values[order], dense)


def dot_cells(cells: Cells, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return ``left[row[e]] @ right[col[e]]`` for every cell ``e``, ``(num_cells,)``."""
    # By column: each row of `right` is then read once a batch, and `left` stays in the cache.
    offsets, rows, order = cells.by_column
    pattern = torch.sparse_csr_tensor(
        offsets, rows, left.new_zeros(len(rows)), cells.shape[::-1], check_invariants=False
    )
    dots = torch.sparse.sampled_addmm(pattern, right, left.t(), beta=0).values()
    return torch.empty_like(dots).index_copy_(0, order, dots)
