"""The positions of the ratings of a batch, grouped by row and by column."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import nn

# A sum over a row of ratings reads rows of the weight matrix at random. Blocks of this many rows
# stay in the cache: 8 MB at 500 hidden units. With fewer than two blocks, splitting does not help.
BLOCK = 4096


class SparsityPattern:
    """Which cells of a matrix of ``shape`` ``(num_rows, num_columns)`` are stored, as CSR indices.

    ``by_row`` and ``by_column`` group the cells for sums. Both are tuples ``(offsets, indices,
    order)``: the start of each group, the column (or row) of each cell, and the position of the
    cell in CSR order. They are computed on first access, and only once;
    :meth:`RatingMatrix.batches` sets ``by_column`` for many batches at a time.
    """

    def __init__(self, crow: torch.Tensor, col: torch.Tensor, shape: tuple[int, int]):
        self.crow = crow  # (num_rows + 1,), where each row starts
        self.col = col  # (num_cells,)
        self.shape = shape

    @classmethod
    def of(cls, ratings: torch.Tensor) -> SparsityPattern:
        """Return the pattern of a sparse CSR tensor, which :meth:`fill` attaches to it."""
        if hasattr(ratings, "pattern"):
            return ratings.pattern
        shape = ratings.shape[0], ratings.shape[1]
        return cls(ratings.crow_indices(), ratings.col_indices(), shape)

    def fill(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sparse CSR tensor with these ``values``, ``(num_cells,)``."""
        ratings = torch.sparse_csr_tensor(
            self.crow, self.col, values, self.shape, check_invariants=False
        )
        ratings.pattern = self  # type: ignore[attr-defined]  # so that groups are computed once
        return ratings

    @cached_property
    def row(self) -> torch.Tensor:
        """The row of each cell, ``(num_cells,)``."""
        return repeat_rows(self.crow, len(self.col))

    @cached_property
    def by_row(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Groups for sums over rows, one per row and block of columns, block after block.

        With one block the cells are in order already, and ``order`` is ``None``.
        """
        num_blocks = self.shape[1] // BLOCK
        if num_blocks < 2 or self.col.is_cuda:
            return self.crow, self.col, None
        groups = self.col // -(-self.shape[1] // num_blocks) * self.shape[0] + self.row
        order = groups.argsort(stable=True)
        return count_offsets(groups, num_blocks * self.shape[0]), self.col[order], order

    @property
    def prefers_columns(self) -> bool:
        """Whether dot products are faster by column than by row.

        They are if the cells have been sorted by column, or if the weights do not fit the cache,
        so that by row each cell would read its weights from memory.
        """
        return "by_column" in vars(self) or self.shape[1] >= 2 * BLOCK

    @cached_property
    def by_column(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Groups for sums over columns, one per column: the rows of a batch fit the cache."""
        order = self.col.argsort(stable=True)
        return count_offsets(self.col, self.shape[1]), self.row[order], order


def count_offsets(indices: torch.Tensor, size: int) -> torch.Tensor:
    """Return the offsets of ``size`` groups, ``(size + 1,)``, given the group of each cell."""
    return add_offsets(torch.bincount(indices, minlength=size))


def add_offsets(counts: torch.Tensor) -> torch.Tensor:
    """Return the offsets of groups, ``(len(counts) + 1,)``, given their sizes."""
    return nn.functional.pad(counts.cumsum(0, dtype=torch.int32), (1, 0))


def repeat_rows(crow: torch.Tensor, num_cells: int) -> torch.Tensor:
    """Return the row of each cell, ``(num_cells,)``, given the offsets of the rows."""
    rows = torch.arange(len(crow) - 1, dtype=crow.dtype, device=crow.device)
    return rows.repeat_interleave(crow.diff(), output_size=num_cells)
