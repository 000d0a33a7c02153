"""The models that a variant of AutoRec has to beat, in the form of :mod:`autorec_d2l.experiments.autorec`.

Those that are solved instead of trained have no network, an empty history, and no use for epochs.
"""

from __future__ import annotations

from functools import partial

import pandas as pd
import torch

from autorec_d2l.data.loaders import load_array
from autorec_d2l.data.rating_scale import STARS, RatingScale
from autorec_d2l.data.tensors import pair_indices, rating_triples
from autorec_d2l.evaluation import evaluating
from autorec_d2l.experiments.autorec import Fit, score
from autorec_d2l.models import MF, AutoRec
from autorec_d2l.training.distributed import threads_for, try_gpu
from autorec_d2l.training.loop import HISTORY, L2Loss, train_recsys_rating


def fit_mean(
    train_data: pd.DataFrame,
    held_out: pd.DataFrame | None,
    sizes: tuple[int, int],
    num_epochs: int = 0,
    seed: int = 0,
) -> Fit:
    """Predict the mean of the training ratings for every pair."""
    return _solved(partial(_predict_biases, train_data["rating"].mean(), {}), 1)


def fit_biases(
    train_data: pd.DataFrame,
    held_out: pd.DataFrame | None,
    sizes: tuple[int, int],
    num_epochs: int = 0,
    seed: int = 0,
    *,
    damping: float = 5.0,
) -> Fit:
    """Predict the mean, plus how well liked the item is, plus how kind the user is.

    Both are means of what remains, shrunk towards 0 as if by ``damping`` more ratings.
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
    train_data: pd.DataFrame,
    held_out: pd.DataFrame | None,
    sizes: tuple[int, int],
    num_epochs: int = 0,
    seed: int = 0,
    *,
    penalty: float = 300.0,
    damping: float = 5.0,
) -> Fit:
    """Predict a user's rating of an item from that user's other ratings, linearly.

    Each item has a ridge regression, in closed form: over the users who rated it, on their ratings
    of all others, both as what :func:`fit_biases` leaves of them; ``penalty`` multiplies the sum
    of squared weights. An autoencoder without hidden units, it cannot copy its input.
    """
    biases = fit_biases(train_data, None, sizes, damping=damping).predict
    users, items = pair_indices(train_data, *sizes)
    rest = torch.zeros(sizes, dtype=torch.float64)  # (num_users, num_items)
    rest[users, items] = torch.tensor(train_data["rating"].to_numpy("float64")) - biases(train_data)
    likeness = rest @ rest.T  # (num_users, num_users)
    stars = torch.zeros(sizes)
    for item in items.unique().tolist():
        who = users[items == item]
        own = rest[:, item]  # in the dual form a regression has an unknown a user, not an item
        others = likeness[:, who] - own[:, None] * own[who]  # (num_users, len(who))
        gram = others[who] + penalty * torch.eye(len(who), dtype=rest.dtype)
        weights = torch.cholesky_solve(own[who, None], torch.linalg.cholesky(gram))
        stars[:, item] = (others @ weights).squeeze(1).float()
    return _solved(partial(_predict_linear, biases, stars), sizes[1] * (sizes[1] - 1))


def fit_mf(
    train_data: pd.DataFrame,
    held_out: pd.DataFrame | None,
    sizes: tuple[int, int],
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
    device = device or try_gpu()
    torch.manual_seed(seed)
    net = MF(num_factors, *sizes, mean=train_data["rating"].mean().item() if with_mean else 0.0)
    triples = rating_triples(train_data, *sizes, scale)
    predict = partial(_predict_mf, net)
    with threads_for(len(train_data)):
        history = train_recsys_rating(
            net,
            load_array(triples, min(batch_size, len(train_data)), seed=seed, last_batch="rollover"),
            held_out if held_out is None else [held_out],
            L2Loss(),
            torch.optim.Adam(net.parameters(), lr=lr, weight_decay=wd, fused=True),
            num_epochs,
            [device],
            partial(_evaluate, predict),
        )
    return Fit(net, history, predict, sum(p.numel() for p in net.parameters()))


def fit_dense_autorec(
    train_data: pd.DataFrame,
    held_out: pd.DataFrame | None,
    sizes: tuple[int, int],
    num_epochs: int,
    seed: int,
    *,
    num_hidden: int = 500,
    dropout: float = 0.05,
    lr: float = 0.002,
    wd: float = 1e-5,
    batch_size: int = 256,
    scale: RatingScale = STARS,
    device: torch.device | None = None,
) -> Fit:
    """Fit :class:`AutoRec` as the chapter does, on dense batches; the defaults are d2l's.

    Raises ``ValueError`` for a ``scale`` that a dense matrix, 0 = not rated, cannot hold.
    """
    scale.check_dense()
    device = device or try_gpu()
    users, items, scores = rating_triples(train_data, *sizes, scale)
    inter_mat = torch.zeros(sizes[::-1])  # (num_items, num_users)
    inter_mat[items, users] = scores
    torch.manual_seed(seed)
    net = AutoRec(num_hidden, sizes[0], dropout)
    predict = partial(_predict_dense, net, inter_mat)
    with threads_for(len(train_data)):
        history = train_recsys_rating(
            net,
            load_array((inter_mat,), min(batch_size, sizes[1]), seed=seed, last_batch="rollover"),
            held_out if held_out is None else [held_out],
            L2Loss(),
            torch.optim.Adam(net.parameters(), lr=lr, weight_decay=wd),
            num_epochs,
            [device],
            partial(_evaluate, predict),
        )
    return Fit(net, history, predict, sum(p.numel() for p in net.parameters()))


def _evaluate(predict, net, tables, devices) -> float:
    """Return the RMSE on the held-out table, after an epoch."""
    return score(predict(tables[0]), tables[0])["rmse"]


def _solved(predict, num_parameters: int) -> Fit:
    return Fit(None, pd.DataFrame(columns=HISTORY), predict, num_parameters)


def _predict_biases(mean, effects, table: pd.DataFrame) -> torch.Tensor:
    stars = pd.Series(mean, index=range(len(table)))
    for column, effect in effects.items():
        stars += table[column].map(effect).fillna(0).to_numpy()
    return torch.tensor(stars.to_numpy(), dtype=torch.float32)


def _predict_linear(biases, stars, table: pd.DataFrame) -> torch.Tensor:
    users, items = pair_indices(table, *stars.shape)
    return biases(table) + stars[users, items]


def _predict_mf(net, table: pd.DataFrame) -> torch.Tensor:
    sizes = net.P.num_embeddings, net.Q.num_embeddings
    with evaluating(net):
        return net(*(index.to(net.P.weight.device) for index in pair_indices(table, *sizes))).cpu()


def _predict_dense(net, inter_mat, table: pd.DataFrame) -> torch.Tensor:
    users, items = pair_indices(table, *inter_mat.shape[::-1])
    with evaluating(net):
        return net(inter_mat.to(net.decoder.weight.device)).cpu()[items, users]
