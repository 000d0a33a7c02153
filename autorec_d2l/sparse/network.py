"""AutoRec for sparse batches, its loss and its evaluator.

The rows of the :class:`RatingMatrix` decide whether the model is item-based or user-based. Names
are those of the item-based model: a row is an item, a column is a user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import torch
from torch import nn

from autorec_d2l.data.loaders import check_in_order
from autorec_d2l.data.validation import check_integer
from autorec_d2l.evaluation import evaluating, rmse
from autorec_d2l.models import AutoRec
from autorec_d2l.sparse.matrix import RatingMatrix
from autorec_d2l.sparse.ops import DotCells, SumRows, keep_freed_memory
from autorec_d2l.sparse.pattern import SparsityPattern


class SparseLinear(nn.Module):
    """:class:`torch.nn.Linear` for sparse inputs.

    ``weight`` is stored as ``(num_users, num_hidden)``, so that the weights of a user are
    contiguous in memory; state dicts hold it transposed, as ``nn.Linear`` does.
    """

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().t().contiguous())
        self.bias = linear.bias

    def forward(self, values: torch.Tensor, pattern: SparsityPattern) -> torch.Tensor:
        """Return ``(batch, num_hidden)`` for the ``values`` of the ratings, ``(num_cells,)``."""
        return SumRows.apply(values, self.weight, pattern).add_(self.bias)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = destination[f"{prefix}weight"].t().contiguous()

    def _load_from_state_dict(self, state_dict, prefix, *args):
        name = f"{prefix}weight"
        if name in state_dict:
            state_dict = {**state_dict, name: state_dict[name].t()}
        super()._load_from_state_dict(state_dict, prefix, *args)


class SparseAutoRec(AutoRec):
    """:class:`AutoRec` for sparse batches: same parameters and predictions, at the ratings only.

    State dicts are interchangeable with those of :class:`AutoRec`. The options:

    - ``input_dropout``: the probability that a rating of the input is dropped in training; the
      others are scaled by ``1 / (1 - input_dropout)``. Targets are not changed.
    - ``activation``: of every hidden layer.
    - ``output``: of the decoder; the default, :func:`torch.positive`, is the identity. For
      predictions within the rating scale use :meth:`RatingScale.bounded`.
    - ``more_hidden``: sizes of further hidden layers, with torch's default initialization.
    - ``column_means``, ``(num_users,)``, in stars, for example :meth:`RatingMatrix.column_means`:
      subtracted from the input and added to the output, and after them the mean of each row,
      shrunk towards 0 as if by ``damping`` more ratings of 0. Targets are not changed.
    """

    encoder: SparseLinear  # type: ignore[assignment]  # AutoRec's is a Linear
    column_means: torch.Tensor | None

    def __init__(
        self,
        num_hidden: int,
        num_users: int,
        dropout: float = 0.05,
        *,
        input_dropout: float = 0.0,
        activation: Callable[[torch.Tensor], torch.Tensor] = torch.sigmoid,
        output: Callable[[torch.Tensor], torch.Tensor] = torch.positive,
        more_hidden: Sequence[int] = (),
        column_means: torch.Tensor | None = None,
        damping: float = 10.0,
    ):
        keep_freed_memory()
        super().__init__(num_hidden, num_users, dropout)
        self.input_dropout = nn.Dropout(input_dropout)
        self.activation, self.output, self.damping = activation, output, damping
        sizes = [num_hidden]
        sizes += [check_integer(size, f"more_hidden[{i}]") for i, size in enumerate(more_hidden)]
        self.more = nn.ModuleList(nn.Linear(m, n) for m, n in pairwise(sizes))
        if more_hidden:
            self.decoder = nn.Linear(sizes[-1], num_users)
            nn.init.normal_(self.decoder.weight, std=0.01)
            nn.init.zeros_(self.decoder.bias)
        self.encoder = SparseLinear(self.encoder)  # type: ignore[arg-type]
        self.register_buffer("column_means", column_means)

    def forward(self, ratings: torch.Tensor, at: torch.Tensor | None = None) -> torch.Tensor:
        """Predict stars, ``(num_cells,)``, at the cells of ``at``; by default those of ``ratings``.

        ``ratings`` and ``at`` are sparse CSR tensors ``(batch, num_users)``; the values of ``at``
        are ignored. Rows without ratings are predicted from the biases.

        Raises ``ValueError`` for tensors of another layout or shape.
        """
        if at is not None:
            _check_rows("at", at, ratings.shape[0], self.decoder.out_features)
        hidden, row_means = self.encode(ratings)
        outputs = SparsityPattern.of(ratings if at is None else at)
        scores = DotCells.apply(hidden, self.decoder.weight, outputs)  # (num_cells,)
        predictions = self.output(scores + self.decoder.bias.index_select(0, outputs.col))
        if self.column_means is not None:
            predictions = predictions + self.column_means[outputs.col] + row_means[outputs.row]
        return predictions

    def encode(self, ratings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the last hidden layer, ``(batch, num_hidden)``, and the row means, ``(batch,)``.

        The row means are 0 without column means.
        """
        _check_rows("ratings", ratings, ratings.shape[0], self.decoder.out_features)
        inputs, values = SparsityPattern.of(ratings), ratings.values()
        row_means = values.new_zeros(inputs.shape[0])
        if self.column_means is not None:
            values = values - self.column_means[inputs.col]
            sums = row_means.index_add(0, inputs.row, values)
            row_means = sums / (inputs.crow.diff() + self.damping)
            values = values - row_means[inputs.row]
        hidden = self.encoder(self.input_dropout(values), inputs)
        hidden = self.dropout(self.activation(hidden))  # (batch, num_hidden)
        for layer in self.more:
            hidden = self.dropout(self.activation(layer(hidden)))
        return hidden, row_means


def _check_rows(name: str, tensor: torch.Tensor, num_rows: int, num_users: int) -> None:
    """Raise ``ValueError`` for shapes that the kernels do not check themselves."""
    if tensor.layout != torch.sparse_csr or tensor.shape != (num_rows, num_users):
        layout = str(tensor.layout).removeprefix("torch.")
        raise ValueError(
            f"{name} must be sparse CSR rows, {num_rows} by {num_users} (num_users of the "
            f"network), got {' by '.join(map(str, tensor.shape))} of layout {layout}"
        )


class HalfSumOfSquares(nn.Module):
    """Half the sum of squared differences, divided by a fixed number of ``cells``.

    With ``cells = batch_size * num_users`` it equals d2l's :class:`L2Loss` on full batches, for
    dense and sparse predictions alike, so weight decay has the same effect. In a shorter last batch
    each rating keeps its weight. With ``cells = 1`` it is the objective of the AutoRec paper.
    """

    def __init__(self, cells: int = 1):
        super().__init__()
        self.cells = cells

    def forward(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return a scalar for two tensors of equal shape."""
        return nn.functional.mse_loss(predictions, targets, reduction="sum") / (2 * self.cells)


def evaluator_sparse(
    net: nn.Module,
    test_iter: Iterable[tuple[torch.Tensor, torch.Tensor]],
    inter_mat: RatingMatrix,
    devices: list[torch.device],
) -> float:
    """Return the RMSE of a sparse network on the held-out ratings, in stars.

    ``test_iter`` yields the *training* rows in order, ``inter_mat`` holds the held-out ratings of
    the same rows. Predictions are computed for these only.

    Raises ``ValueError`` if the numbers of rows or columns differ, and for a ``test_iter`` that
    shuffles.
    """
    check_in_order(test_iter)
    with evaluating(net):
        pairs = list(_predict_aligned(net, test_iter, inter_mat, devices[0]))
    return rmse(*map(torch.cat, zip(*pairs, strict=True)))


def _predict_aligned(net, test_iter, inter_mat, device):
    """Yield predictions and ratings of the held-out cells for each batch of training rows."""
    start = 0
    for ratings, _ in test_iter:
        stop = start + ratings.shape[0]
        if stop > len(inter_mat) or ratings.shape[1] != inter_mat.shape[1]:
            break
        at, target = inter_mat[start:stop]
        yield net(ratings.to(device), at.to(device)).cpu(), target
        start = stop
    else:
        if start == len(inter_mat):
            return
    raise ValueError(
        f"a test matrix of shape {inter_mat.shape} needs all its training rows, in order and "
        f"with as many columns; they differ from row {start} on"
    )
