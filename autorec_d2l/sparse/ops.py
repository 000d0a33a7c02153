"""Two products that read one row of weights for one rating, and nothing else.

- A *weighted sum of rows*: ``out[r]`` adds ``values[e] * dense[col[e]]`` over the ratings ``e`` of
  row ``r`` (sparse times dense). It is AutoRec's encoder.
- A *dot product at each cell*: ``out[e] = left[row[e]] @ right[col[e]]`` (dense times dense,
  sampled where there are ratings). It is AutoRec's decoder.

Each is the other's gradient, so two kernels of torch are enough for the whole training step.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from autorec_d2l.sparse.pattern import SparsityPattern


@cache
def keep_freed_memory() -> None:
    """Let a gradient get the memory of the last one, once a process.

    glibc hands a large block of freed memory back to the system, and to get it again costs as much
    as to compute the gradient, unless a larger one was freed before. This frees one of 31 MB, which
    nothing has touched; it has to be below 32 MB.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


class SumRows(torch.autograd.Function):
    """``values`` at ``cells``, times ``dense`` ``(num_columns, k)``: gives ``(num_rows, k)``."""

    @staticmethod
    def forward(
        ctx, values: torch.Tensor, dense: torch.Tensor, cells: SparsityPattern
    ) -> torch.Tensor:
        """Return the weighted sums of rows of ``dense``."""
        ctx.save_for_backward(values, dense)
        ctx.cells = cells
        return sum_by_row(cells, values, dense)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
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
    def forward(
        ctx, left: torch.Tensor, right: torch.Tensor, cells: SparsityPattern
    ) -> torch.Tensor:
        """Return the dot products at ``cells``."""
        ctx.save_for_backward(left, right)
        ctx.cells = cells
        return dot_cells(cells, left, right)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
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


def sum_by_row(cells: SparsityPattern, values: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
    """Return ``values`` at ``cells`` times ``dense`` ``(num_columns, k)``: ``(num_rows, k)``."""
    offsets, columns, order = cells.by_row
    if order is None:
        return sum_rows(offsets, columns, values, dense)  # (num_rows, k)
    sums = sum_rows(offsets, columns, values.index_select(0, order), dense)
    return sums.unflatten(0, (-1, cells.shape[0])).sum(0)  # of (num_blocks, num_rows, k)


def sum_by_column(
    cells: SparsityPattern, values: torch.Tensor, dense: torch.Tensor
) -> torch.Tensor:
    """Return the transpose, times ``dense`` ``(num_rows, k)``: ``(num_columns, k)``."""
    offsets, rows, order = cells.by_column
    return sum_rows(offsets, rows, values.index_select(0, order), dense)


def dot_cells(cells: SparsityPattern, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return ``left[row[e]] @ right[col[e]]`` for every cell ``e``, ``(num_cells,)``."""
    if cells.pays_by_column:  # each row of `right` is then read once, and `left` is cached
        offsets, rows, order = cells.by_column
        dots = _dots(offsets, rows, cells.shape[::-1], right, left)
        return torch.empty_like(dots).scatter_(0, order, dots)
    return _dots(cells.crow, cells.col, cells.shape, left, right)


def _dots(offsets, indices, shape, left, right):
    """Return ``left[r] @ right[indices[e]]`` for each ``e`` of group ``r``, ``(num_cells,)``."""
    pattern = torch.sparse_csr_tensor(
        offsets, indices, left.new_zeros(len(indices)), shape, check_invariants=False
    )
    return torch.sparse.sampled_addmm(pattern, left, right.t(), beta=0).values()
