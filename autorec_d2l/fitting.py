"""Fit a model to a table of ratings, and predict at the rows of another table.

Sweeps and comparisons call functions of this form, so that models of every kind go through the
same protocol: ``fit(train_data, held_out, sizes, num_epochs, seed, **settings)`` gives a
:class:`Fit`. Settings are words and numbers, so that a results file can hold them.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from typing import NamedTuple

import pandas as pd
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from autorec_d2l.batches import load_array
from autorec_d2l.data import load_data_ml100k
from autorec_d2l.evaluation import evaluating
from autorec_d2l.matrix import RatingMatrix
from autorec_d2l.models import bounded
from autorec_d2l.sparse import HalfSquares, SparseAutoRec, evaluator_sparse
from autorec_d2l.training import train_recsys_rating

ACTIVATIONS = {
    "identity": torch.positive,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "selu": nn.functional.selu,
    "gelu": nn.functional.gelu,
    "bounded": bounded,
}
INITS = ("zero", "mean", "scaled")


class Fit(NamedTuple):
    """A trained model: how it was trained, what it predicts, and how large it is."""

    history: pd.DataFrame  # of train_recsys_rating; test_rmse is on the held-out ratings, or NaN
    predict: Callable[[pd.DataFrame], torch.Tensor]  # a table to (num_ratings,) stars, unclipped
    num_parameters: int


def fit_autorec(
    train_data: pd.DataFrame,
    held_out: pd.DataFrame | None,
    sizes: tuple[int, int],
    num_epochs: int,
    seed: int,
    *,
    lr: float = 0.002,
    wd: float = 1e-5,
    batch_size: int = 256,
    user_based: bool = False,
    one_cycle: bool = False,
    decay_biases: bool = True,
    **network,
) -> Fit:
    """Fit AutoRec with Adam; the defaults are d2l's, and ``network`` is for :func:`make_autorec`.

    ``sizes`` is ``(num_users, num_items)``. ``held_out`` ratings, if given, are predicted after
    every epoch. ``user_based`` makes the users the rows. ``one_cycle`` lets the learning rate rise
    to ``lr`` and fall again over all epochs. Without ``decay_biases`` weights alone decay, as in
    the paper. Raises ``FloatingPointError`` if the loss becomes infinite.
    """
    ratings = _matrix(train_data, sizes, user_based)
    torch.manual_seed(seed)
    net = make_autorec(ratings, **network)
    train_iter = load_array((ratings,), batch_size, seed=seed)
    trainer = _adam(net, lr, wd, decay_biases)
    history = train_quietly(
        net,
        train_iter,
        load_array((ratings,), 1024, is_train=False),
        HalfSquares(batch_size * ratings.shape[1]),
        trainer,
        num_epochs,
        [torch.device("cpu")],  # where its sparse products are measured
        evaluator=_no_evaluation if held_out is None else evaluator_sparse,
        inter_mat=None if held_out is None else _matrix(held_out, sizes, user_based),
        scheduler=OneCycleLR(trainer, lr, num_epochs * len(train_iter)) if one_cycle else None,
    )
    predict = partial(_predict, net, ratings, sizes, user_based)
    return Fit(history, predict, sum(p.numel() for p in net.parameters()))


def make_autorec(
    ratings: RatingMatrix,
    *,
    num_hidden: int = 500,
    more_hidden: Sequence[int] = (),
    encoder: str = "sigmoid",
    decoder: str = "identity",
    dropout: float = 0.05,
    input_dropout: float = 0.0,
    init: str | Callable[[SparseAutoRec, RatingMatrix], None] = "zero",
    centred: bool = False,
) -> SparseAutoRec:
    """Return an untrained network for the columns of ``ratings``; the defaults are d2l's.

    ``encoder`` and ``decoder`` are names of :data:`ACTIVATIONS`. ``init`` is one of :data:`INITS`,
    see :func:`initialise`, or a function that changes the network in place. ``centred`` takes
    column and row means off the input (see :class:`SparseAutoRec`). Raises ``ValueError`` for
    other names.
    """
    net = SparseAutoRec(
        num_hidden,
        ratings.shape[1],
        dropout,
        input_dropout=input_dropout,
        activation=_activation(encoder),
        output=_activation(decoder),
        more_hidden=more_hidden,
        column_means=ratings.column_means() if centred else None,
    )
    if callable(init):
        init(net, ratings)
    else:
        initialise(net, init, ratings)
    return net


def _activation(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    if name not in ACTIVATIONS:
        raise ValueError(f"activations are {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]


def initialise(net: SparseAutoRec, how: str, ratings: RatingMatrix) -> None:
    """Set the weights in place before training.

    ``zero``
        As d2l: weights from Normal(0, 0.01), biases 0. (Further layers as torch makes them.)
    ``mean``
        The same, but the bias of the decoder makes the first prediction the mean of ``ratings``.
    ``scaled``
        As ``mean``, with weights from Normal(0, 1 / number of inputs), a variance.

    Raises ``ValueError`` for another word.
    """
    if how not in INITS:
        raise ValueError(f"init must be one of {', '.join(INITS)}, got {how!r}")
    with torch.no_grad():
        if how == "scaled":
            inputs = [ratings.shape[1], *(layer.in_features for layer in (*net.more, net.decoder))]
            layers = [net.encoder, *net.more, net.decoder]
            for layer, num_inputs in zip(layers, inputs, strict=True):
                layer.weight.normal_(0, num_inputs**-0.5)
                layer.bias.zero_()
        if how != "zero" and net.column_means is None:
            mean = ratings.values.mean()
            net.decoder.bias.fill_(((mean - 1) / 4).logit() if net.output is bounded else mean)


def train_quietly(net: nn.Module, *arguments, **named) -> pd.DataFrame:
    """Call :func:`train_recsys_rating` without its progress bar and its last line.

    Ctrl-C, after which a training returns the epochs that it has, is passed on to the caller:
    in a comparison a training that was cut short counts for nothing.
    """
    num_epochs = arguments[4]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        history = train_recsys_rating(net, *arguments, **named)
    if len(history) < num_epochs:
        raise KeyboardInterrupt
    return history


def _predict(net, ratings, sizes, user_based, table: pd.DataFrame) -> torch.Tensor:
    """Return stars for the rows of ``table``, in its order, ``(num_ratings,)``."""
    users, items, scores, _ = load_data_ml100k(table, *sizes)
    cells = _matrix(table, sizes, user_based)
    with evaluating(net):
        sorted_stars = net(ratings[:][0], at=cells[:][0])  # by row, then column
    order = (users * sizes[1] + items if user_based else items * sizes[0] + users).argsort()
    return torch.empty_like(scores).index_copy(0, order, sorted_stars)


def _matrix(table: pd.DataFrame, sizes: tuple[int, int], user_based: bool) -> RatingMatrix:
    """Return a table of ratings as a matrix whose rows are items, or users."""
    users, items, scores, _ = load_data_ml100k(table, *sizes)
    if user_based:
        return RatingMatrix(users, items, scores, sizes)
    return RatingMatrix(items, users, scores, sizes[::-1])


def _adam(net, lr, wd, decay_biases) -> torch.optim.Optimizer:
    """Return the optimizer; it tells weights from biases by their dimensions."""
    weights = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    biases = [parameter for parameter in net.parameters() if parameter.ndim == 1]
    groups = [{"params": weights}, {"params": biases, "weight_decay": wd if decay_biases else 0.0}]
    return torch.optim.Adam(groups, lr=lr, weight_decay=wd, fused=True)


def _no_evaluation(*_) -> float:
    return math.nan
