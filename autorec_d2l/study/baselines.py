"""The models that a variant of AutoRec has to beat, in the form of :mod:`autorec_d2l.study.fits`.

Those that are solved instead of trained have no use for ``num_epochs`` and ``seed``, no network
and an empty history.
"""

from __future__ import annotations

from functools import partial

import pandas as pd
import torch

from autorec_d2l.batches import load_array
from autorec_d2l.data import load_data_ml100k, pair_indices, rating_triples
from autorec_d2l.devices import try_gpu
from autorec_d2l.evaluation import evaluating
from autorec_d2l.models import MF, AutoRec
from autorec_d2l.study.fits import Fit
from autorec_d2l.training import HISTORY, L2Loss, train_recsys_rating


def fit_mean(
    train_data: pd.DataFrame,
    held_out: pd.DataFrame | None,
    sizes: tuple[int, int],
    num_epochs: int = 0,
    seed: int = 0,
) -> Fit:
    """Answer every question with the mean of the training ratings."""
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
    """Answer with the mean, plus how well liked the item is, plus how kind the user is.

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
    device: torch.device | None = None,
) -> Fit:
    """Fit :class:`MF` with Adam; the defaults are d2l's, which has no global mean.

    ``with_mean`` gives it the mean of the training ratings.
    """
    device = device or try_gpu()
    torch.manual_seed(seed)
    net = MF(num_factors, *sizes, mean=float(train_data["rating"].mean()) if with_mean else 0.0)
    test_iter = None
    if held_out is not None:
        test_iter = load_array(rating_triples(held_out, *sizes), 8192, is_train=False)
    history = train_recsys_rating(
        net,
        load_array(
            rating_triples(train_data, *sizes), batch_size, seed=seed, last_batch="rollover"
        ),
        test_iter,
        L2Loss(),
        torch.optim.Adam(net.parameters(), lr=lr, weight_decay=wd, fused=True),
        num_epochs,
        [device],
        verbose=False,
    )
    return Fit(net, history, partial(_predict_mf, net), sum(p.numel() for p in net.parameters()))


def fit_dense_autorec(
    train_data: pd.DataFrame,
    held_out: pd.DataFrame | None,
    sizes: tuple[int, int],
    num_epochs: int,
    seed: int,
    *,
    device: torch.device | None = None,
) -> Fit:
    """Fit :class:`AutoRec` exactly as the chapter does: d2l's settings and dense batches."""
    device = device or try_gpu()
    *_, inter_mat = load_data_ml100k(train_data, *sizes)
    rows, unseen = None, None
    if held_out is not None:
        rows = load_array((inter_mat,), 1024, is_train=False)
        *_, unseen = load_data_ml100k(held_out, *sizes)
    torch.manual_seed(seed)
    net = AutoRec(500, sizes[0])
    history = train_recsys_rating(
        net,
        load_array((inter_mat,), 256, seed=seed, last_batch="rollover"),
        rows,
        L2Loss(),
        torch.optim.Adam(net.parameters(), lr=0.002, weight_decay=1e-5),
        num_epochs,
        [device],
        inter_mat=unseen,
        verbose=False,
    )
    predict = partial(_predict_dense, net, inter_mat)
    return Fit(net, history, predict, sum(p.numel() for p in net.parameters()))


def _solved(predict, num_parameters: int) -> Fit:
    return Fit(None, pd.DataFrame(columns=HISTORY), predict, num_parameters)


def _predict_biases(mean, effects, table: pd.DataFrame) -> torch.Tensor:
    stars = pd.Series(mean, index=range(len(table)))
    for column, effect in effects.items():
        stars += table[column].map(effect).fillna(0).to_numpy()
    return torch.tensor(stars.to_numpy(), dtype=torch.float32)


def _predict_mf(net, table: pd.DataFrame) -> torch.Tensor:
    sizes = net.P.num_embeddings, net.Q.num_embeddings
    with evaluating(net):
        return net(*(index.to(net.P.weight.device) for index in pair_indices(table, *sizes))).cpu()


def _predict_dense(net, inter_mat, table: pd.DataFrame) -> torch.Tensor:
    users, items = pair_indices(table, *inter_mat.shape[::-1])
    with evaluating(net):
        return net(inter_mat.to(net.decoder.weight.device)).cpu()[items, users]
