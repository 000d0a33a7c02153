"""A linear autoencoder, one of the models of the comparison."""

from functools import partial

import torch
from pandas import DataFrame

from autorec_d2l.data.tensors import pair_indices
from autorec_d2l.experiments import Fit, fit_biases


def fit_linear_autoencoder(
    train_data, held_out, sizes, *_, penalty: float = 300.0, damping: float = 5.0
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
    predict = partial(_predict, biases, stars)
    return Fit(None, DataFrame(), predict, sizes[1] * (sizes[1] - 1))


def _predict(biases, stars, table: DataFrame) -> torch.Tensor:
    users, items = pair_indices(table, *stars.shape)
    return biases(table) + stars[users, items]
