"""The models that a variant of AutoRec has to beat, as functions like :func:`fit_autorec`.

Those with a closed form have no network and an empty history; they ignore epochs and seed.
"""

from __future__ import annotations

from functools import partial

import pandas as pd
import torch
from pandas import DataFrame

from autorec_d2l.data.loaders import load_array
from autorec_d2l.data.rating_scale import STARS, RatingScale
from autorec_d2l.data.tensors import pair_indices, rating_triples
from autorec_d2l.evaluation import evaluating
from autorec_d2l.experiments.autorec import Fit, Sizes, score
from autorec_d2l.models import MF
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


def fit_mf(
    train_data: DataFrame,
    held_out: DataFrame | None,
    sizes: Sizes,
    num_epochs: int,
    seed: int,
    *,
    num_factors: int = 30,
    lr: float = 0.002,
    wd: float = 1e-5,
    batch_size: int = 512,
    with_mean: bool = False,
    scale: RatingScale = STARS,
    device: torch.device | None = None,
) -> Fit:
    """Fit :class:`MF` with Adam; the defaults are d2l's, ``with_mean`` adds the global mean."""
    triples = rating_triples(train_data, *sizes, scale)
    torch.manual_seed(seed)
    net = MF(num_factors, *sizes, mean=train_data["rating"].mean().item() if with_mean else 0.0)
    predict = partial(_predict_mf, net)
    with threads_for(len(train_data)):
        history = train_recsys_rating(
            net,
            load_array(triples, min(batch_size, len(train_data)), seed=seed, last_batch="rollover"),
            None if held_out is None else [held_out],
            L2Loss(),
            torch.optim.Adam(net.parameters(), lr=lr, weight_decay=wd, fused=True),
            num_epochs,
            [device or try_gpu()],
            partial(_evaluate, predict),
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


def _predict_mf(net, table: DataFrame) -> torch.Tensor:
    sizes = net.P.num_embeddings, net.Q.num_embeddings
    with evaluating(net):
        return net(*(index.to(net.P.weight.device) for index in pair_indices(table, *sizes))).cpu()
