"""The two sparse matrix products of AutoRec, each reading one row of weights per rating.

- *Sparse times dense*, the encoder: ``out[r]`` is the sum of ``values[e] * dense[col[e]]`` over the
  ratings ``e`` of row ``r``.
- *Sampled dense times dense*, the decoder: ``out[e] = left[row[e]] @ right[col[e]]`` for each
  rating ``e``.

The gradient of each is computed by the other, so two kernels of torch are enough for training.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from autorec_d2l.sparse.pattern import SparsityPattern


@cache
def keep_freed_memory() -> None:
    """Let gradients reuse the memory of earlier ones; acts once per process.

    glibc returns large freed blocks to the system, and getting one again costs as much as computing
    the gradient. Its threshold rises to the largest block freed so far, up to 32 MB: this frees an
    untouched block of 31 MB.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


class SumRows(torch.autograd.Function):
    """Sparse ``values``, ``(num_cells,)``, times ``dense``, ``(num_columns, k)``."""

    @staticmethod
    def forward(ctx, values: Tensor, dense: Tensor, pattern: SparsityPattern) -> Tensor:
        """Return the product, ``(num_rows, k)``."""
        ctx.save_for_backward(values, dense)
        ctx.pattern = pattern
        return sum_by_row(pattern, values, dense)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of ``values`` and ``dense``."""
        values, dense = ctx.saved_tensors
        needs_values, needs_dense, _ = ctx.needs_input_grad
        grad_values = dot_cells(ctx.pattern, grad, dense) if needs_values else None
        grad_dense = sum_by_column(ctx.pattern, values, grad) if needs_dense else None
        return grad_values, grad_dense, None


class DotCells(torch.autograd.Function):
    """``left``, ``(num_rows, k)``, times ``right.T``, ``(k, num_columns)``, at some cells."""

    @staticmethod
    def forward(ctx, left: Tensor, right: Tensor, pattern: SparsityPattern) -> Tensor:
        """Return the cells of the product, ``(num_cells,)``."""
        ctx.save_for_backward(left, right)
        ctx.pattern = pattern
        return dot_cells(pattern, left, right)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of ``left`` and ``right``."""
        left, right = ctx.saved_tensors
        needs_left, needs_right, _ = ctx.needs_input_grad
        grad_left = sum_by_row(ctx.pattern, grad, right) if needs_left else None
        grad_right = sum_by_column(ctx.pattern, grad, left) if needs_right else None
        return grad_left, grad_right, None


def sum_rows(offsets: Tensor, indices: Tensor, weights: Tensor, dense: Tensor) -> Tensor:
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


def sum_by_row(pattern: SparsityPattern, values: Tensor, dense: Tensor) -> Tensor:
    """Return the sparse ``values`` times ``dense`` ``(num_columns, k)``: ``(num_rows, k)``."""
    offsets, columns, order = pattern.by_row
    if order is None:
        return sum_rows(offsets, columns, values, dense)  # (num_rows, k)
    sums = sum_rows(offsets, columns, values.index_select(0, order), dense)
    return sums.unflatten(0, (-1, pattern.shape[0])).sum(0)  # of (num_blocks, num_rows, k)


def sum_by_column(pattern: SparsityPattern, values: Tensor, dense: Tensor) -> Tensor:
    """Return the transposed values times ``dense`` ``(num_rows, k)``: ``(num_columns, k)``."""
    offsets, rows, order = pattern.by_column
    return sum_rows(offsets, rows, values.index_select(0, order), dense)


def dot_cells(pattern: SparsityPattern, left: Tensor, right: Tensor) -> Tensor:
    """Return ``left[row[e]] @ right[col[e]]`` for every cell ``e``, ``(num_cells,)``."""
    if pattern.prefers_columns:  # reads each row of `right` once; `left` fits the cache
        offsets, rows, order = pattern.by_column
        dots = _dots(offsets, rows, pattern.shape[::-1], right, left)
        return torch.empty_like(dots).scatter_(0, order, dots)
    return _dots(pattern.crow, pattern.col, pattern.shape, left, right)


def _dots(offsets, indices, shape, left, right):
    """Return ``left[r] @ right[indices[e]]`` for each ``e`` of group ``r``, ``(num_cells,)``."""
    cells = torch.sparse_csr_tensor(
        offsets, indices, left.new_zeros(len(indices)), shape, check_invariants=False
    )
    return torch.sparse.sampled_addmm(cells, left, right.t(), beta=0).values()
