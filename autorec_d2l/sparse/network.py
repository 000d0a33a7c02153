"""AutoRec whose cost grows with the ratings, not with the area of the matrix.

Item-based or user-based depends only on the rows of the :class:`RatingMatrix`. The names here are
those of the item-based model: a row is an item, a column is a user.
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


class QuickDropout(nn.Dropout):
    """:class:`torch.nn.Dropout` that draws 16 random bits a number, where torch draws 64.

    ``p`` is rounded to a multiple of ``2**-16``, and what is kept is scaled up by exactly that, so
    that the mean stays. The draws are others than those of :class:`torch.nn.Dropout`: with one
    seed, two networks that differ in this alone drop different units.
    """

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Drop numbers of a tensor of any shape in training."""
        kept = round((1 - self.p) * 2**16)
        if not self.training or not 0 < kept < 2**16:
            return super().forward(hidden)
        draws = torch.empty(-(-hidden.numel() // 4), dtype=torch.int64, device=hidden.device)
        bits = draws.random_(-(2**63), None).view(torch.int16)  # all 64 bits, four numbers each
        mask = bits[: hidden.numel()].view(hidden.shape) < kept - 2**15
        return hidden * mask.to(hidden.dtype).mul_(2**16 / kept)


class SparseLinear(nn.Module):
    """:class:`torch.nn.Linear` for sparse inputs, which adds up a row of weights for each rating.

    ``weight`` is ``(num_users, num_hidden)``, so that the weights of a user lie side by side in
    memory, for this product and for the optimizer; a state dict has it as ``nn.Linear`` does.
    """

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().t().contiguous())
        self.bias = linear.bias

    def forward(self, values: torch.Tensor, cells: SparsityPattern) -> torch.Tensor:
        """Return ``(batch, num_hidden)`` for the ``values`` at ``cells``, ``(num_cells,)``."""
        return SumRows.apply(values, self.weight, cells).add_(self.bias)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = destination[f"{prefix}weight"].t().contiguous()

    def _load_from_state_dict(self, state_dict, prefix, *args):
        name = f"{prefix}weight"
        if name in state_dict:
            state_dict = {**state_dict, name: state_dict[name].t()}
        super()._load_from_state_dict(state_dict, prefix, *args)


class SparseAutoRec(AutoRec):
    """:class:`AutoRec` on sparse rows: same parameters, same numbers, no work on empty cells.

    State dicts go from one to the other. The options make the book's other models of it:

    - ``input_dropout``: each rating of the input is dropped with this probability in training, and
      the others are scaled up by ``1 / (1 - input_dropout)``; the targets stay.
    - ``activation`` of every hidden layer; ``output`` of the decoder: :func:`torch.positive`, which
      changes nothing, or for example :func:`bounded`.
    - ``more_hidden``: sizes of further hidden layers, initialised as torch does.
    - ``column_means``, ``(num_users,)`` stars, for example :meth:`RatingMatrix.column_means`: taken
      off the input, and so is what then remains as the mean of a row, shrunk towards 0 as if by
      ``damping`` more ratings; both are added to the output. Targets stay as they are.
    - ``quick_dropout``: see :class:`QuickDropout`; without it dropout is that of :class:`AutoRec`.
    """

    encoder: SparseLinear  # type: ignore[assignment]  # of AutoRec it is a Linear
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
        quick_dropout: bool = False,
    ):
        keep_freed_memory()
        super().__init__(num_hidden, num_users, dropout)
        kind = QuickDropout if quick_dropout else nn.Dropout
        self.dropout, self.input_dropout = kind(dropout), kind(input_dropout)
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
        """Predict stars, ``(num_cells,)``, at the cells of ``at``, or else at the ratings' own.

        ``ratings`` and ``at`` are sparse CSR tensors ``(batch, num_users)``; of ``at`` only the
        pattern counts. A batch without ratings gives the predictions of empty rows, a pattern
        without cells an empty tensor.

        Raises ``ValueError`` for tensors of another layout or shape.
        """
        _check_rows("ratings", ratings, ratings.shape[0], self.decoder.out_features)
        if at is not None:
            _check_rows("at", at, ratings.shape[0], self.decoder.out_features)
        inputs = SparsityPattern.of(ratings)
        cells = inputs if at is None else SparsityPattern.of(at)
        values = ratings.values()
        if self.column_means is not None:
            values = values - self.column_means[inputs.col]
            sums = values.new_zeros(inputs.shape[0]).index_add(0, inputs.row, values)
            row_means = sums / (inputs.crow.diff() + self.damping)  # (batch,)
            values = values - row_means[inputs.row]
        hidden = self.encoder(self.input_dropout(values), inputs)
        hidden = self.dropout(self.activation(hidden))  # (batch, num_hidden)
        for layer in self.more:
            hidden = self.dropout(self.activation(layer(hidden)))
        scores = DotCells.apply(hidden, self.decoder.weight, cells)  # (num_cells,)
        predictions = self.output(scores + self.decoder.bias.index_select(0, cells.col))
        if self.column_means is not None:
            predictions = predictions + self.column_means[cells.col] + row_means[cells.row]
        return predictions


def _check_rows(name: str, tensor: torch.Tensor, num_rows: int, num_users: int) -> None:
    """Refuse what the products' kernels would refuse in words of their own, or not at all."""
    if tensor.layout != torch.sparse_csr or tensor.shape != (num_rows, num_users):
        layout = str(tensor.layout).removeprefix("torch.")
        raise ValueError(
            f"{name} must be sparse CSR rows, {num_rows} by {num_users} (num_users of the "
            f"network), got {' by '.join(map(str, tensor.shape))} of layout {layout}"
        )


class HalfSumOfSquares(nn.Module):
    """Half the sum of squared differences, over a fixed number of ``cells``.

    With ``cells = batch_size * num_users`` this is d2l's :class:`L2Loss` on whole batches, so that
    a weight decay means the same, for dense and for sparse predictions; in the shorter last batch
    a rating keeps its weight. With ``cells = 1`` it is the paper's objective. No rating: 0.
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
    """Return a sparse network's RMSE on the held-out ratings, in stars, computing nothing else.

    ``test_iter`` gives the *training* rows in order; those of ``inter_mat`` are aligned with
    them. Raises ``ValueError`` where they are not, and for a ``test_iter`` that shuffles.
    """
    check_in_order(test_iter)
    with evaluating(net):
        pairs = list(_predict_aligned(net, test_iter, inter_mat, devices[0]))
    return rmse(*map(torch.cat, zip(*pairs, strict=True)))


def _predict_aligned(net, test_iter, inter_mat, device):
    """Give ``(predictions, ratings)`` at the held-out cells, one pair a batch of training rows."""
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
