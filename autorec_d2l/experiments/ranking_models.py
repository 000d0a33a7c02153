"""Models that score every item for every user, for :mod:`.ranking_metrics`.

``ranker(train_data, sizes, seed, **settings)`` returns scores ``(num_users, num_items)``; only
their order within a row is meaningful. All raise ``ValueError`` for ids out of range. The other
models of the chapter are in ``benchmarks/rankers.py``.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from torch import nn

from autorec_d2l.data.loaders import load_array
from autorec_d2l.data.tensors import load_data_ml100k
from autorec_d2l.evaluation import evaluating
from autorec_d2l.experiments.autorec import Sizes, fit_autorec
from autorec_d2l.experiments.ranking_metrics import user_item_matrix
from autorec_d2l.models import AutoRec
from autorec_d2l.training.loop import L2Loss, train_recsys_rating


def rank_popularity(
    table: pd.DataFrame, sizes: Sizes, seed: int = 0, *, min_rating: int = 1
) -> torch.Tensor:
    """Score an item by its number of ratings of at least ``min_rating``: the same for all users."""
    return user_item_matrix(table, sizes, min_rating).sum(0).float().expand(sizes)


def rank_autorec(
    table: pd.DataFrame,
    sizes: Sizes,
    seed: int,
    *,
    num_epochs: int,
    mask: bool = True,
    **settings,
) -> torch.Tensor:
    """Score by what item-based AutoRec predicts; without ``mask``, zeros are targets.

    Without the mask an empty cell is not a missing rating but a rating of 0.
    """
    inter_mat = load_data_ml100k(table, *sizes)[3]  # (num_items, num_users)
    if mask:
        sparse: Any = fit_autorec(table, None, sizes, num_epochs, seed, **settings).net
        net = AutoRec(sparse.encoder.bias.numel(), sizes[0])
        net.load_state_dict(sparse.state_dict())
    else:
        net = _fit_unmasked(inter_mat, num_epochs, seed, **settings)
    with evaluating(net):
        return net(inter_mat).T


def _fit_unmasked(inter_mat: torch.Tensor, num_epochs: int, seed: int, wd: float = 1e-5) -> AutoRec:
    """Train AutoRec with d2l's settings on all cells."""
    torch.manual_seed(seed)
    net = AutoRec(500, inter_mat.shape[1])
    forward = nn.Sequential(net.encoder, nn.Sigmoid(), net.dropout, net.decoder)
    train_iter = load_array((inter_mat,), 256, seed=seed, last_batch="rollover")
    trainer = torch.optim.Adam(net.parameters(), lr=0.002, weight_decay=wd)
    devices = [torch.device("cpu")]
    train_recsys_rating(forward, train_iter, None, L2Loss(), trainer, num_epochs, devices)
    return net


def ease(rows: torch.Tensor, wd: float) -> torch.Tensor:
    """Return the scores of EASE, ``(num_users, num_items)``: Steck (2019), equation 8.

    A linear autoencoder without a hidden layer, in closed form: ridge regression with weight decay
    ``wd``, in which the weights from an item to itself are 0, so that it cannot copy.
    """
    inverse = torch.linalg.inv(rows.T @ rows + wd * torch.eye(rows.shape[1]).to(rows))
    weights = (-inverse / inverse.diagonal()).fill_diagonal_(0)  # (num_items, num_items)
    return rows @ weights
