"""The models, exactly as the chapters show them."""

from __future__ import annotations

import torch
from torch import nn


class MF(nn.Module):
    """Matrix factorization with biases (Koren, Bell and Volinsky, 2009).

    The predicted rating is ``P[u] @ Q[i] + b_u + b_i + mean``. Embeddings and biases are drawn from
    Normal(0, 0.01), as in d2l, whose model has no global ``mean``.

    Args:
        num_factors: Length of the vectors ``P[u]`` and ``Q[i]``.
        num_users: Number of users; their indices start at 0.
        num_items: Number of items; their indices start at 0.
        mean: Stars added to each prediction; part of the state dict.

    Returns:
        Called with users and items: predicted stars, see :meth:`forward`.

    Example:
        ``MF(30, 943, 1682)(torch.tensor([0]), torch.tensor([49]))``
    """

    def __init__(self, num_factors: int, num_users: int, num_items: int, mean: float = 0.0):
        super().__init__()
        self.P = nn.Embedding(num_users, num_factors)
        self.Q = nn.Embedding(num_items, num_factors)
        self.user_bias = nn.Embedding(num_users, 1)
        self.item_bias = nn.Embedding(num_items, 1)
        self.register_buffer("mean", torch.tensor(float(mean)))  # saved with the weights
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.01)

    def forward(self, user_id: torch.Tensor, item_id: torch.Tensor) -> torch.Tensor:
        """Predict ratings in stars, ``(batch,)``, for indices from 0, each ``(batch,)``."""
        P_u, Q_i = self.P(user_id), self.Q(item_id)  # (batch, num_factors)
        b_u, b_i = self.user_bias(user_id), self.item_bias(item_id)  # (batch, 1)
        return (P_u * Q_i).sum(1) + b_u.squeeze(1) + b_i.squeeze(1) + self.mean


class AutoRec(nn.Module):
    """Item-based AutoRec (Sedhain et al., 2015): reconstruct the ratings of an item.

    Sigmoid encoder, linear decoder, dropout on the hidden layer; weights are drawn from
    Normal(0, 0.01), biases are 0, as in d2l. For the user-based model give the transposed
    matrix and ``num_items`` in place of ``num_users``.

    Args:
        num_hidden: Number of hidden units.
        num_users: Length of a row of ratings.
        dropout: Probability that a hidden unit is dropped in training.

    Returns:
        Called with rows of ratings: predicted stars, see :meth:`forward`.

    Raises:
        ValueError: A ``dropout`` outside 0 ... 1.

    Example:
        ``AutoRec(500, 943).eval()(inter)``, for a matrix ``(1682, 943)``
    """

    def __init__(self, num_hidden: int, num_users: int, dropout: float = 0.05):
        super().__init__()
        self.encoder = nn.Linear(num_users, num_hidden)
        self.decoder = nn.Linear(num_hidden, num_users)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.encoder, self.decoder):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, ratings: torch.Tensor) -> torch.Tensor:
        """Reconstruct rows of ``ratings``, ``(batch, num_users)``, 0 = not rated, in stars.

        In training mode the output is 0 where the input is, so that only observed ratings count.
        """
        hidden = self.dropout(torch.sigmoid(self.encoder(ratings)))  # (batch, num_hidden)
        predictions = self.decoder(hidden)  # (batch, num_users)
        if self.training:
            return predictions * torch.sign(ratings)
        return predictions
