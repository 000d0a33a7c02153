"""The models that a variant of AutoRec has to beat, as functions like :func:`fit_autorec`.

Those with a closed form have no network and an empty history; they ignore epochs and seed.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import torch
from pandas import DataFrame

from autorec_d2l.data.loaders import load_array
from autorec_d2l.data.rating_scale import STARS, RatingScale
from autorec_d2l.data.tensors import load_data_ml100k, pair_indices, rating_triples
from autorec_d2l.evaluation import evaluating
from autorec_d2l.experiments.autorec import Fit, Sizes, score
from autorec_d2l.models import MF, AutoRec
from autorec_d2l.training.distributed import threads_for, try_gpu
from autorec_d2l.training.loop import HISTORY, L2Loss, train_recsys_rating


def fit_mean(train_data: DataFrame, held_out: DataFrame | None, sizes: Sizes, *_: int) -> Fit:
    """Predict the mean of the training ratings for every pair."""
    return _solved(partial(_predict_biases, train_data["rating"].mean(), {}), 1)


def fit_biases(
    train_data: DataFrame, held_out: DataFrame | None, sizes: Sizes, *_: int, damping: float = 5.0
) -> Fit:
    """Predict the mean plus an item's bias plus a user's bias.

    A bias is the mean of what remains, shrunk towards 0 as if by ``damping`` more ratings.
    """
    mean = train_data["rating"].mean()
    rest = train_data["rating"] - mean
    effects = {}
    for column in ("item_id", "user_id"):
        groups = rest.groupby(train_data[column])
        effects[column] = groups.sum() / (groups.size() + damping)
        rest = rest - train_data[column].map(effects[column])
    return _solved(partial(_predict_biases, mean, effects), 1 + sum(sizes))


def fit_linear_autoencoder(
    train_data: DataFrame,
    held_out: DataFrame | None,
    sizes: Sizes,
    *_: int,
    penalty: float = 300.0,
    damping: float = 5.0,
) -> Fit:
    """Predict a user's rating of an item from that user's other ratings, linearly.

    Each item has a ridge regression, in closed form: over the users who rated it, on their ratings
    of all other items, both as residuals of :func:`fit_biases`; ``penalty`` multiplies the sum of
    squared weights. An autoencoder without hidden units, it cannot copy its input.
    """
    biases = fit_biases(train_data, None, sizes, damping=damping).predict
    users, items = pair_indices(train_data, *sizes)
    rest = torch.zeros(sizes, dtype=torch.float64)  # (num_users, num_items)
    rest[users, items] = torch.tensor(train_data["rating"].to_numpy("float64")) - biases(train_data)
    similarity = rest @ rest.T  # (num_users, num_users)
    stars = torch.zeros(sizes)
    for item in items.unique().tolist():
        raters = users[items == item]
        target = rest[:, item]
        # In the dual form a regression has one unknown per user who rated the item.
        others = similarity[:, raters] - target[:, None] * target[raters]  # (num_users, raters)
        gram = others[raters] + penalty * torch.eye(len(raters), dtype=rest.dtype)
        weights = torch.cholesky_solve(target[raters, None], torch.linalg.cholesky(gram))
        stars[:, item] = (others @ weights).squeeze(1).float()
    return _solved(partial(_predict_linear, biases, stars), sizes[1] * (sizes[1] - 1))


def fit_mf(
    train_data: DataFrame,
    held_out: DataFrame | None,
    sizes: Sizes,
    num_epochs: int,
    seed: int,
    *,
    num_factors: int = 30,
    with_mean: bool = False,
    batch_size: int = 512,
    scale: RatingScale = STARS,
    **training: Any,
) -> Fit:
    """Fit :class:`MF` with Adam; the defaults are d2l's, ``with_mean`` adds the global mean.

    ``training`` can be ``lr``, ``wd`` and ``device``.
    """
    torch.manual_seed(seed)
    net = MF(num_factors, *sizes, mean=train_data["rating"].mean().item() if with_mean else 0.0)
    arrays = rating_triples(train_data, *sizes, scale)
    tables, schedule = (train_data, held_out), (num_epochs, seed, batch_size)
    return _train(
        net, arrays, partial(_predict_mf, net), *tables, *schedule, fused=True, **training
    )


def fit_dense_autorec(
    train_data: DataFrame,
    held_out: DataFrame | None,
    sizes: Sizes,
    num_epochs: int,
    seed: int,
    *,
    num_hidden: int = 500,
    dropout: float = 0.05,
    batch_size: int = 256,
    scale: RatingScale = STARS,
    **training: Any,
) -> Fit:
    """Fit :class:`AutoRec` as the chapter does, on dense batches; the defaults are d2l's.

    ``training`` can be ``lr``, ``wd`` and ``device``. Raises ``ValueError`` for a ``scale`` that a
    dense matrix, 0 = not rated, cannot hold.
    """
    *_, inter_mat = load_data_ml100k(train_data, *sizes, scale=scale)
    torch.manual_seed(seed)
    net = AutoRec(num_hidden, sizes[0], dropout)
    predict = partial(_predict_dense, net, inter_mat)
    tables, schedule = (train_data, held_out), (num_epochs, seed, batch_size)
    return _train(net, (inter_mat,), predict, *tables, *schedule, **training)


def _train(
    net, arrays, predict, train_data, held_out, num_epochs, seed, batch_size,
    lr=0.002, wd=1e-5, device=None, fused=None,
) -> Fit:  # fmt: skip
    """Train a network with Adam and L2Loss; its predictions are evaluated after each epoch."""
    train_iter = load_array(arrays, min(batch_size, len(arrays[0])), True, seed, "rollover")
    test_iter = None if held_out is None else [held_out]
    trainer = torch.optim.Adam(net.parameters(), lr=lr, weight_decay=wd, fused=fused)
    devices, evaluator = [device or try_gpu()], partial(_evaluate, predict)
    with threads_for(len(train_data)):
        history = train_recsys_rating(
            net, train_iter, test_iter, L2Loss(), trainer, num_epochs, devices, evaluator
        )
    return Fit(net, history, predict, sum(p.numel() for p in net.parameters()))


def _evaluate(predict, net, tables, devices) -> float:
    """Return the RMSE on the held-out table."""
    return score(predict(tables[0]), tables[0])["rmse"]


def _solved(predict, num_parameters: int) -> Fit:
    return Fit(None, DataFrame(columns=HISTORY), predict, num_parameters)


def _predict_biases(mean, effects, table: DataFrame) -> torch.Tensor:
    stars = pd.Series(mean, index=range(len(table)))
    for column, effect in effects.items():
        stars += table[column].map(effect).fillna(0).to_numpy()
    return torch.tensor(stars.to_numpy(), dtype=torch.float32)


def _predict_linear(biases, stars, table: DataFrame) -> torch.Tensor:
    users, items = pair_indices(table, *stars.shape)
    return biases(table) + stars[users, items]


def _predict_mf(net, table: DataFrame) -> torch.Tensor:
    sizes = net.P.num_embeddings, net.Q.num_embeddings
    with evaluating(net):
        return net(*(index.to(net.P.weight.device) for index in pair_indices(table, *sizes))).cpu()


def _predict_dense(net, inter_mat, table: DataFrame) -> torch.Tensor:
    users, items = pair_indices(table, *inter_mat.shape[::-1])
    with evaluating(net):
        return net(inter_mat.to(net.decoder.weight.device)).cpu()[items, users]
