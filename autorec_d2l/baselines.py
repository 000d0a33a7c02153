"""The models that a variant of AutoRec has to beat, in the form of :mod:`autorec_d2l.fitting`.

Each function takes ``(train_data, held_out, sizes, num_epochs, seed, **settings)`` and returns a
:class:`Fit`. Those that are solved instead of trained have no use for ``num_epochs`` and ``seed``
and an empty history.
"""

from __future__ import annotations

import pandas as pd
import torch

from autorec_d2l.batches import load_array
from autorec_d2l.data import load_data_ml100k
from autorec_d2l.evaluation import evaluating
from autorec_d2l.fitting import Fit, train_quietly
from autorec_d2l.models import MF, AutoRec
from autorec_d2l.training import HISTORY, L2Loss


def fit_mean(
    train_data: pd.DataFrame,
    held_out: pd.DataFrame | None,
    sizes: tuple[int, int],
    num_epochs: int = 0,
    seed: int = 0,
) -> Fit:
    """Answer every question with the mean of the training ratings."""
    mean = train_data["rating"].mean()

    def predict(table: pd.DataFrame) -> torch.Tensor:
        return torch.full((len(table),), mean, dtype=torch.float32)

    return Fit(pd.DataFrame(columns=HISTORY), predict, 1)


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

    def predict(table: pd.DataFrame) -> torch.Tensor:
        stars = mean + sum(table[column].map(effects[column]).fillna(0) for column in effects)
        return torch.tensor(stars.to_numpy(), dtype=torch.float32)

    return Fit(pd.DataFrame(columns=HISTORY), predict, 1 + sum(sizes))


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
    centred: bool = False,
) -> Fit:
    """Fit :class:`MF` with Adam; the defaults are d2l's, which has no global mean.

    ``centred`` gives it the mean of the training ratings.
    """
    torch.manual_seed(seed)
    net = MF(num_factors, *sizes, mean=float(train_data["rating"].mean()) if centred else 0.0)
    triples = load_data_ml100k(train_data, *sizes)[:3]
    held_out_triples = load_data_ml100k(train_data if held_out is None else held_out, *sizes)[:3]
    history = train_quietly(
        net,
        load_array(triples, batch_size, seed=seed),
        load_array(held_out_triples, 8192, is_train=False),
        L2Loss(),
        torch.optim.Adam(net.parameters(), lr=lr, weight_decay=wd, fused=True),
        num_epochs,
        [torch.device("cpu")],
    )

    def predict(table: pd.DataFrame) -> torch.Tensor:
        users, items, *_ = load_data_ml100k(table, *sizes)
        with evaluating(net):
            return net(users, items)

    return Fit(history, predict, sum(p.numel() for p in net.parameters()))


def fit_dense_autorec(
    train_data: pd.DataFrame,
    held_out: pd.DataFrame | None,
    sizes: tuple[int, int],
    num_epochs: int,
    seed: int,
) -> Fit:
    """Fit :class:`AutoRec` exactly as the chapter does: d2l's settings and dense batches.

    It differs from :func:`fit_autorec` in the last, shorter batch of an epoch, whose mean is over
    fewer cells: a rating in it weighs more.
    """
    *_, train_inter = load_data_ml100k(train_data, *sizes)
    *_, test_inter = load_data_ml100k(train_data if held_out is None else held_out, *sizes)
    torch.manual_seed(seed)
    net = AutoRec(500, sizes[0])
    history = train_quietly(
        net,
        load_array((train_inter,), 256, seed=seed),
        load_array((train_inter,), 1024, is_train=False),
        L2Loss(),
        torch.optim.Adam(net.parameters(), lr=0.002, weight_decay=1e-5),
        num_epochs,
        [torch.device("cpu")],
        inter_mat=test_inter,
    )

    def predict(table: pd.DataFrame) -> torch.Tensor:
        users, items, *_ = load_data_ml100k(table, *sizes)
        with evaluating(net):
            return net(train_inter)[items, users]

    return Fit(history, predict, sum(p.numel() for p in net.parameters()))
