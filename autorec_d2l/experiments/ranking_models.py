"""Models that score every item for every user, for :mod:`.ranking_metrics`.

``ranker(train_data, sizes, seed, **settings)`` returns scores ``(num_users, num_items)``; only
their order within a row is meaningful. All raise ``ValueError`` for ids out of range.
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
from autorec_d2l.experiments.baselines import fit_mf
from autorec_d2l.experiments.ranking_metrics import user_item_matrix
from autorec_d2l.models import AutoRec
from autorec_d2l.training.loop import L2Loss, train_recsys_rating


def rank_popularity(
    table: pd.DataFrame, sizes: Sizes, seed: int = 0, *, min_rating: int = 1
) -> torch.Tensor:
    """Score an item by its number of ratings of at least ``min_rating``: the same for all users."""
    return user_item_matrix(table, sizes, min_rating).sum(0).float().expand(sizes)


def rank_mf(
    table: pd.DataFrame, sizes: Sizes, seed: int, *, num_epochs: int, **settings
) -> torch.Tensor:
    """Score by the stars that matrix factorization predicts."""
    net: Any = fit_mf(table, None, sizes, num_epochs, seed, with_mean=True, **settings).net
    with torch.no_grad():
        biases = net.user_bias.weight + net.item_bias.weight.T  # (num_users, num_items)
        return net.P.weight @ net.Q.weight.T + biases + net.mean


def rank_autorec(
    table: pd.DataFrame,
    sizes: Sizes,
    seed: int,
    *,
    num_epochs: int,
    mask: bool = True,
    min_rating: int | None = None,
    **settings,
) -> torch.Tensor:
    """Score by what item-based AutoRec predicts; without ``mask``, zeros are targets.

    Without the mask an empty cell is not a missing rating but a rating of 0. Only then, a
    ``min_rating`` may replace the stars: see :func:`input_matrix`.
    """
    if mask and min_rating is not None:
        raise ValueError("with its mask AutoRec is fitted to the stars: min_rating must be None")
    inter_mat = input_matrix(table, sizes, min_rating).T.contiguous()  # (num_items, num_users)
    if mask:
        sparse: Any = fit_autorec(table, None, sizes, num_epochs, seed, **settings).net
        net = AutoRec(sparse.encoder.bias.numel(), sizes[0])
        net.load_state_dict(sparse.state_dict())
    else:
        net = _fit_unmasked(inter_mat, num_epochs, seed, **settings)
    with evaluating(net):
        return net(inter_mat).T


def input_matrix(table: pd.DataFrame, sizes: Sizes, min_rating: int | None) -> torch.Tensor:
    """Return what a model of all cells reads, ``(num_users, num_items)``, float32.

    A cell is 1 where a rating is at least ``min_rating`` stars, or with None the stars
    themselves; all else is 0.
    """
    if min_rating is None:
        return load_data_ml100k(table, *sizes)[3].T
    return user_item_matrix(table, sizes, min_rating).float()


def _fit_unmasked(inter_mat, num_epochs, seed, *, num_hidden=500, lr=0.002, wd=1e-5, dropout=0.05):
    """Train AutoRec with d2l's settings on all cells."""
    torch.manual_seed(seed)
    net = AutoRec(num_hidden, inter_mat.shape[1], dropout)
    forward = nn.Sequential(net.encoder, nn.Sigmoid(), net.dropout, net.decoder)
    train_iter = load_array((inter_mat,), 256, seed=seed, last_batch="rollover")
    trainer = torch.optim.Adam(net.parameters(), lr=lr, weight_decay=wd)
    devices = [torch.device("cpu")]
    train_recsys_rating(forward, train_iter, None, L2Loss(), trainer, num_epochs, devices)
    return net


def rank_ease(
    table: pd.DataFrame, sizes: Sizes, seed: int = 0, *, wd: float, min_rating: int | None = 1
) -> torch.Tensor:
    """Score with :func:`ease` what :func:`input_matrix` gives."""
    return ease(input_matrix(table, sizes, min_rating).double(), wd).float()


def ease(rows: torch.Tensor, wd: float) -> torch.Tensor:
    """Return the scores of EASE, ``(num_users, num_items)``: Steck (2019), equation 8.

    A linear autoencoder without a hidden layer, in closed form: ridge regression with weight decay
    ``wd``, in which the weights from an item to itself are 0, so that it cannot copy.
    """
    inverse = torch.linalg.inv(rows.T @ rows + wd * torch.eye(rows.shape[1]).to(rows))
    weights = (-inverse / inverse.diagonal()).fill_diagonal_(0)  # (num_items, num_items)
    return rows @ weights


class MultVAE(nn.Module):
    """A small variational autoencoder for rows of counts: Liang et al. (2018), section 2.

    It returns log-probabilities of the items, ``(batch, num_items)``, and the KL divergence of the
    latent code from a standard normal, ``(batch,)``. In evaluation mode the code is its mean.
    """

    def __init__(
        self, num_items: int, num_hidden: int = 200, num_latent: int = 64, dropout: float = 0.5
    ):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(num_items, num_hidden),
            nn.Tanh(),
            nn.Linear(num_hidden, 2 * num_latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(num_latent, num_hidden), nn.Tanh(), nn.Linear(num_hidden, num_items)
        )

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode and decode rows ``(batch, num_items)``."""
        mean, log_var = self.encoder(nn.functional.normalize(rows)).chunk(2, dim=1)
        noise = torch.randn_like(mean) if self.training else 0
        code = mean + noise * (log_var / 2).exp()  # (batch, num_latent)
        divergence = (mean**2 + log_var.exp() - log_var - 1).sum(1) / 2
        return self.decoder(code).log_softmax(1), divergence


def rank_mult_vae(
    table: pd.DataFrame,
    sizes: Sizes,
    seed: int,
    *,
    num_epochs: int,
    beta: float = 0.2,
    min_rating: int | None = 1,
    lr: float = 0.002,
    num_hidden: int = 200,
    dropout: float = 0.5,
) -> torch.Tensor:
    """Score by the log-probabilities of :class:`MultVAE`, trained with Adam on batches of 100.

    The weight of the divergence grows to ``beta`` over the first half of the epochs. Rows are what
    :func:`input_matrix` gives: stars weigh the terms of the likelihood.
    """
    matrix = input_matrix(table, sizes, min_rating)
    torch.manual_seed(seed)
    net = MultVAE(sizes[1], num_hidden, dropout=dropout)
    trainer = torch.optim.Adam(net.parameters(), lr=lr)
    for epoch in range(num_epochs):
        weight = beta * min(1, 2 * epoch / num_epochs)
        for rows in load_array((matrix,), 100, seed=seed + epoch):
            log_probabilities, divergence = net(rows)
            loss = (weight * divergence - (log_probabilities * rows).sum(1)).mean()
            trainer.zero_grad()
            loss.backward()
            trainer.step()
    with evaluating(net):
        return net(matrix)[0]
