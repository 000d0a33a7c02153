"""The cells of a batch, in the two orders in which the products read them."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import nn

# A sum by row reads rows of weights in no order. Taken in blocks of so many, they stay in the
# cache: 8 MB at 500 hidden units. Below twice as many, blocks do not pay.
BLOCK = 4096


class SparsityPattern:
    """The cells of a sparse CSR tensor of ``shape`` ``(num_rows, num_columns)``.

    ``by_row`` and ``by_column`` are ``(offsets, indices, order)``: where each sum starts, the
    column (the row) of each cell, and its place in the tensor. They are sorted when first asked
    for; a batch that was cut together with others (:meth:`RatingMatrix.batches`) has been.
    """

    def __init__(self, crow: torch.Tensor, col: torch.Tensor, shape: tuple[int, int]):
        self.crow = crow  # (num_rows + 1,), where each row starts
        self.col = col  # (num_cells,)
        self.shape = shape

    @classmethod
    def of(cls, ratings: torch.Tensor) -> SparsityPattern:
        """Return the cells of a sparse CSR tensor; those that :meth:`fill` made bring theirs."""
        if hasattr(ratings, "cells"):
            return ratings.cells
        shape = ratings.shape[0], ratings.shape[1]
        return cls(ratings.crow_indices(), ratings.col_indices(), shape)

    def fill(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sparse CSR tensor with ``values`` at these cells."""
        ratings = torch.sparse_csr_tensor(
            self.crow, self.col, values, self.shape, check_invariants=False
        )
        ratings.cells = self  # type: ignore[attr-defined]  # what was sorted stays sorted
        return ratings

    @cached_property
    def row(self) -> torch.Tensor:
        """The row of each cell, ``(num_cells,)``."""
        return repeat_rows(self.crow, len(self.col))

    @cached_property
    def by_row(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Sums by row: first all that the first block of columns adds, then the next block.

        The order is ``None`` where there is one block.
        """
        num_blocks = self.shape[1] // BLOCK
        if num_blocks < 2 or self.col.is_cuda:
            return self.crow, self.col, None
        sums = self.col // -(-self.shape[1] // num_blocks) * self.shape[0] + self.row
        order = sums.argsort(stable=True)
        return count_offsets(sums, num_blocks * self.shape[0]), self.col[order], order

    @property
    def pays_by_column(self) -> bool:
        """Whether a product should take the cells by column: they are sorted, or it is worth it.

        It is where a row of weights would come from memory for every cell, not from the cache.
        """
        return "by_column" in vars(self) or self.shape[1] >= 2 * BLOCK

    @cached_property
    def by_column(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sums by column, over the rows of a batch, which always fit the cache."""
        order = self.col.argsort(stable=True)
        return count_offsets(self.col, self.shape[1]), self.row[order], order


def count_offsets(indices: torch.Tensor, size: int) -> torch.Tensor:
    """Return where each of ``size`` groups starts if the indices are sorted, ``(size + 1,)``."""
    return add_offsets(torch.bincount(indices, minlength=size))


def add_offsets(counts: torch.Tensor) -> torch.Tensor:
    """Return where each group starts, given how large they are, and where the last one ends."""
    return nn.functional.pad(counts.cumsum(0, dtype=torch.int32), (1, 0))


def repeat_rows(crow: torch.Tensor, num_cells: int) -> torch.Tensor:
    """Return the row of each cell, ``(num_cells,)``, given where each row starts."""
    rows = torch.arange(len(crow) - 1, dtype=crow.dtype, device=crow.device)
    return rows.repeat_interleave(crow.diff(), output_size=num_cells)
