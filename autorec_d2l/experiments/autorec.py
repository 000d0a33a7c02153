"""Fit AutoRec to a table of ratings, and predict the ratings of another table.

Sweeps and comparisons call functions of one signature, so that all models follow the same
protocol: ``fit(train_data, held_out, sizes, num_epochs, seed, **settings)`` returns a
:class:`Fit`. Settings are text, numbers, lists and functions, so that a results file can name them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import pandas as pd
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from autorec_d2l.data.loaders import load_array
from autorec_d2l.data.rating_scale import STARS, RatingScale
from autorec_d2l.data.tensors import pair_indices, rating_triples
from autorec_d2l.evaluation import evaluating, mae, rmse
from autorec_d2l.experiments.networks import make_autorec
from autorec_d2l.sparse import HalfSumOfSquares, RatingMatrix, SparseAutoRec, evaluator_sparse
from autorec_d2l.training.callbacks import Callback
from autorec_d2l.training.distributed import threads_for, try_gpu
from autorec_d2l.training.loop import train_recsys_rating

Sizes = tuple[int, int]  # (num_users, num_items)

# The settings of d2l's MXNet listings.
_ADAM = {"lr": 0.002, "wd": 1e-5}
D2L = {
    "AutoRec": {"num_hidden": 500, "dropout": 0.05, **_ADAM, "batch_size": 256, "num_epochs": 25},
    "MF": {"num_factors": 30, **_ADAM, "batch_size": 512, "num_epochs": 20},
}


class Fit(NamedTuple):
    """A fitted model: its network, its history and its predictions. It can be pickled."""

    net: nn.Module | None  # None for a model with a closed form
    history: pd.DataFrame  # of train_recsys_rating; test_rmse is on the held-out ratings, or NaN
    predict: Callable[[pd.DataFrame], torch.Tensor]  # a table to (num_rows,) stars, unclipped
    num_parameters: int


def score(
    stars: torch.Tensor, table: pd.DataFrame, clip: RatingScale | None = None
) -> dict[str, float]:
    """Return ``{"rmse": ..., "mae": ...}`` of predictions ``(num_rows,)`` for a table, in stars.

    ``clip``, a scale, first limits the predictions to its range. Raises ``ValueError`` for another
    number of predictions, and ``FloatingPointError`` for predictions or ratings that are not
    finite.

    Example: ``score(fit.predict(test_data), test_data)["rmse"]``
    """
    stars, ratings = torch.as_tensor(stars), torch.tensor(table["rating"].to_numpy("float64"))
    if not stars.isfinite().all():  # clipped, an infinite one would look like a good one
        raise FloatingPointError(f"{int((~stars.isfinite()).sum())} predictions are not finite")
    stars = stars if clip is None else clip.clip(stars)
    return {"rmse": rmse(stars, ratings), "mae": mae(stars, ratings)}


def fit_autorec(
    train_data: pd.DataFrame,
    held_out: pd.DataFrame | None,
    sizes: Sizes,
    num_epochs: int,
    seed: int,
    *,
    lr: float = 0.002,
    wd: float = 1e-5,
    batch_size: int = 256,
    user_based: bool = False,
    one_cycle: bool = False,
    decay_biases: bool = True,
    scale: RatingScale = STARS,
    device: torch.device | None = None,
    callbacks: Sequence[Callback] = (),
    **network,
) -> Fit:
    """Fit AutoRec with Adam; the defaults are d2l's.

    Args:
        train_data: Ratings, with columns ``user_id`` and ``item_id`` (from 1) and ``rating``.
        held_out: Ratings to predict after every epoch, or ``None``.
        sizes: ``(num_users, num_items)``.
        num_epochs: The number of passes over the ratings.
        seed: Seed of the weights, the batches and dropout.
        lr: Adam's learning rate.
        wd: Adam's weight decay; the loss is half the mean square over all cells of a batch.
        batch_size: Rows in a batch, at most all; those left over come first in the next epoch.
        user_based: Whether the rows are users instead of items.
        one_cycle: Whether the learning rate rises to ``lr`` and falls again over all epochs.
        decay_biases: Whether biases decay like weights; in the paper they do not.
        scale: The possible ratings.
        device: The first GPU, or the CPU, if not given.
        callbacks: As for :func:`autorec_d2l.train_recsys_rating`.
        network: Settings for :func:`make_autorec`.

    Raises:
        FloatingPointError: The loss is not finite.
        ValueError: As :func:`autorec_d2l.data.tensors.rating_triples`.

    Example:
        ``fit_autorec(train_data, None, (943, 1682), 25, seed=0).predict(test_data)``
    """
    ratings = rating_matrix(train_data, sizes, user_based, scale)
    _warn_of_empty_rows(ratings, "user" if user_based else "item")
    batch_size = min(batch_size, len(ratings))  # fewer rows would never fill a batch
    torch.manual_seed(seed)
    net = make_autorec(ratings, scale=scale, **network)
    train_iter = load_array((ratings,), batch_size, seed=seed, last_batch="rollover")
    loss = HalfSumOfSquares(batch_size * ratings.shape[1])
    trainer = _adam(net, lr, wd, wd if decay_biases else 0.0)
    rows, unseen = None, None
    if held_out is not None:
        rows = load_array((ratings,), 1024, is_train=False)
        unseen = rating_matrix(held_out, sizes, user_based, scale)
    if one_cycle:
        num_steps = num_epochs * len(ratings) // batch_size  # no epoch loses its last rows
        scheduler = OneCycleLR(trainer, lr, num_steps)
        trainer.register_step_post_hook(lambda *_: scheduler.step())
    training = net, train_iter, rows, loss, trainer, num_epochs, [device or try_gpu()]
    with threads_for(len(train_data)):
        history = train_recsys_rating(*training, evaluator_sparse, unseen, callbacks)
    predict = partial(predict_autorec, net, ratings, user_based)
    return Fit(net, history, predict, sum(p.numel() for p in net.parameters()))


def rating_matrix(
    table: pd.DataFrame, sizes: Sizes, user_based: bool = False, scale: RatingScale = STARS
) -> RatingMatrix:
    """Return a table of ratings as a matrix whose rows are items, or users."""
    users, items, scores = rating_triples(table, *sizes, scale)
    if user_based:
        return RatingMatrix(users, items, scores, sizes, scale)
    return RatingMatrix(items, users, scores, sizes[::-1], scale)


def _warn_of_empty_rows(ratings: RatingMatrix, kind: str) -> None:
    """Warn if most rows are empty: they fill the batches, so a batch size means something else."""
    used = int((ratings.crow.diff() > 0).sum())
    if used < len(ratings) / 2:
        warnings.warn(
            f"only {used:,} of {len(ratings):,} {kind}s have a rating; renumber ids with gaps: "
            f"pd.factorize(data['{kind}_id'])[0] + 1",
            stacklevel=3,
        )


def predict_autorec(
    net: SparseAutoRec, ratings: RatingMatrix, user_based: bool, table: pd.DataFrame
) -> torch.Tensor:
    """Return unclipped predictions for the rows of ``table``, in its order, ``(num_rows,)``.

    The table needs no ratings, and may contain a pair more than once.
    """
    users, items = pair_indices(table, *(ratings.shape if user_based else ratings.shape[::-1]))
    rows, columns = (users, items) if user_based else (items, users)
    cells, places = torch.unique(rows * ratings.shape[1] + columns, return_inverse=True)
    rows, columns = cells // ratings.shape[1], cells % ratings.shape[1]
    asked = RatingMatrix(rows, columns, torch.ones(len(cells)), ratings.shape)
    device = net.decoder.weight.device
    with evaluating(net):
        stars = net(ratings[:][0].to(device), at=asked[:][0].to(device)).cpu()
    return stars[places]


def _adam(net, lr, wd, bias_wd) -> torch.optim.Optimizer:
    """Return the optimizer, with one parameter group for weights and one for biases."""
    weights = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    biases = [parameter for parameter in net.parameters() if parameter.ndim == 1]
    groups = [{"params": weights}, {"params": biases, "weight_decay": bias_wd}]
    return torch.optim.Adam(groups, lr=lr, weight_decay=wd, fused=True)
