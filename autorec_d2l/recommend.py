"""Recommendations from a rating model: the best unrated items of a user, and similar items.

Ids count from 1, as in the tables. The result is a table, best first; of equal scores the lower id
comes first. It has fewer than ``n`` rows where fewer items are left, and may be empty.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import torch
from torch import nn

from autorec_d2l.data.rating_scale import STARS
from autorec_d2l.data.validation import check_integer
from autorec_d2l.evaluation import evaluating
from autorec_d2l.models import AutoRec
from autorec_d2l.sparse import SparseAutoRec


def recommend(
    net: AutoRec, inter_mat: torch.Tensor, user_id: int, n: int = 10, min_ratings: int = 0
) -> pd.DataFrame:
    """Return the ``n`` best items that a known user has not rated: ``item_id, stars``.

    ``net`` is item-based: its inputs are the users, so ``inter_mat`` is its training matrix,
    ``(num_items, num_users)``, 0 = not rated. Items with fewer than ``min_ratings`` in it are left
    out. Stars are predictions, not clipped.

    Raises ``ValueError`` for an unknown user, an ``n`` below 1 and predictions that are not finite.
    """
    user = _index("user_id", user_id, inter_mat.shape[1])
    stars = predict_all(net, inter_mat)[:, user]  # (num_items,)
    is_left = (inter_mat[:, user] == 0) & (inter_mat.count_nonzero(1) >= min_ratings)
    return top_k(stars, is_left, n, "stars")


def fold_in(
    net: AutoRec,
    ratings: Mapping[int, float],
    n: int = 10,
    num_ratings: torch.Tensor | None = None,
    min_ratings: int = 0,
) -> pd.DataFrame:
    """Return the ``n`` best items for a user who was not in the training data.

    ``net`` is user-based: a user is one row of ratings, so one forward pass is enough.
    ``ratings`` maps an item's id to stars; without any, the overall favourites are returned. Items
    with fewer than ``min_ratings`` of the training ``num_ratings``, ``(num_items,)``, are left out.

    Raises ``ValueError`` for an unknown item, a rating off the scale, an ``n`` below 1, a
    ``min_ratings`` without ``num_ratings``, and predictions that are not finite.
    """
    num_items = net.decoder.out_features
    row = torch.zeros(num_items)
    for item_id, stars in ratings.items():
        row[_index("item_id", item_id, num_items)] = stars
    STARS.check(torch.tensor(list(ratings.values()), dtype=torch.float32), "ratings")
    is_left = row == 0
    if min_ratings:
        if num_ratings is None:
            raise ValueError("min_ratings needs num_ratings, the number of ratings of each item")
        is_left &= num_ratings >= min_ratings
    return top_k(predict_all(net, row[None])[0], is_left, n, "stars")


def similar_items(
    vectors: torch.Tensor, item_id: int, n: int = 10, is_eligible: torch.Tensor | None = None
) -> pd.DataFrame:
    """Return the ``n`` items with the highest cosine similarity: ``item_id, cosine``.

    ``vectors`` is ``(num_items, num_hidden)``: for a user-based network the weights of its decoder,
    ``net.decoder.weight``. ``is_eligible``, ``(num_items,)``, can leave items out. A vector of
    zeros has cosine 0.

    Raises ``ValueError`` for an unknown item, an ``n`` below 1 and vectors that are not finite.
    """
    item = _index("item_id", item_id, len(vectors))
    directions = nn.functional.normalize(vectors.detach(), dim=1)
    is_left = torch.ones(len(vectors), dtype=torch.bool) if is_eligible is None else is_eligible
    others = torch.arange(len(vectors)) != item
    return top_k(directions @ directions[item], is_left & others, n, "cosine")


def predict_all(net: AutoRec, rows: torch.Tensor) -> torch.Tensor:
    """Return the predictions for all cells of dense ``rows``, by a dense or a sparse network.

    torch refuses rows of another length than the network's.
    """
    device = next(net.parameters()).device
    with evaluating(net):
        if isinstance(net, SparseAutoRec):
            everywhere = torch.ones_like(rows).to_sparse_csr().to(device)
            return net(rows.to_sparse_csr().to(device), everywhere).view_as(rows).cpu()
        return net(rows.to(device)).cpu()


def top_k(scores: torch.Tensor, is_left: torch.Tensor, n: int, name: str) -> pd.DataFrame:
    """Return ``item_id`` and score, under ``name``, of the ``n`` highest scores in ``is_left``.

    Raises ``ValueError`` for an ``n`` below 1 and scores that are not finite.
    """
    n = check_integer(n, "n")
    if not scores.isfinite().all():
        raise ValueError(f"{name} of some items are not finite: check the network's training")
    left = is_left.nonzero().squeeze(1)
    order = left[scores[left].argsort(descending=True, stable=True)[:n]]
    return pd.DataFrame({"item_id": (order + 1).numpy(), name: scores[order].numpy()})


def _index(name: str, identifier: int, size: int) -> int:
    """Return the index from 0 of an id from 1."""
    if check_integer(identifier, name) > size:
        raise ValueError(f"{name} must be an integer from 1 to {size}, got {identifier}")
    return int(identifier) - 1
