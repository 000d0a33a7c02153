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

from autorec_d2l.matrix import count_offsets


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
        return sum_rows(cells.crow, cells.col, values, dense)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        """Return gradients: dot products at cells for ``values``, sums by column for ``dense``."""
        values, dense = ctx.saved_tensors
        grad_values = grad_dense = None
        if ctx.needs_input_grad[0]:
            grad_values = dot_cells(ctx.cells, grad, dense)
        if ctx.needs_input_grad[1]:
            ccol, row, order = ctx.cells.by_column
            grad_dense = sum_rows(ccol, row, values[order], grad)
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
        cells, grad_left, grad_right = ctx.cells, None, None
        if ctx.needs_input_grad[0]:
            grad_left = sum_rows(cells.crow, cells.col, grad, right)
        if ctx.needs_input_grad[1]:
            ccol, row, order = cells.by_column
            grad_right = sum_rows(ccol, row, grad[order], left)
        return grad_left, grad_right, None


def sum_rows(
    offsets: torch.Tensor, indices: torch.Tensor, weights: torch.Tensor, dense: torch.Tensor
) -> torch.Tensor:
    """Return sums of rows of ``dense`` ``(n, k)``, ``(len(offsets) - 1, k)``.

    Sum ``r`` adds ``weights[e] * dense[indices[e]]`` for ``e`` from ``offsets[r]`` to
    ``offsets[r + 1] - 1``.
    """
    return nn.functional.embedding_bag(
        indices, dense, offsets, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


def dot_cells(cells: Cells, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return ``left[row[e]] @ right[col[e]]`` for every cell ``e``, ``(num_cells,)``."""
    # By column: each row of `right` is then read once a batch, and `left` stays in the cache.
    ccol, row, order = cells.by_column
    pattern = torch.sparse_csr_tensor(
        ccol, row, left.new_zeros(len(row)), cells.shape[::-1], check_invariants=False
    )
    dots = torch.sparse.sampled_addmm(pattern, right, left.t(), beta=0).values()
    return torch.empty_like(dots).index_copy_(0, order, dots)
