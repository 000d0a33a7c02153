"""Top-k lists of unseen items, and metrics of the lists on held-out ratings.

Matrices are ``(num_users, num_items)``: scores of any kind, the items that a user has rated in
training, and the held-out items that are *relevant*. Metrics are as Järvelin and Kekäläinen (2002)
define them, for binary relevance.
"""

from __future__ import annotations

import pandas as pd
import torch

from autorec_d2l.data.tensors import pair_indices


def user_item_matrix(
    table: pd.DataFrame, sizes: tuple[int, int], min_rating: int = 1
) -> torch.Tensor:
    """Return ``(num_users, num_items)``, True where a rating is at least ``min_rating`` stars.

    Raises ``ValueError`` for an empty table and ids out of range.
    """
    users, items = pair_indices(table, *sizes)
    is_high = torch.tensor(table["rating"].to_numpy() >= min_rating)
    matrix = torch.zeros(sizes, dtype=torch.bool)
    matrix[users[is_high], items[is_high]] = True
    return matrix


def top_lists(scores: torch.Tensor, seen: torch.Tensor, k: int = 10) -> torch.Tensor:
    """Return the ``k`` unseen items with the highest scores, ``(num_users, k)``, best first.

    Of equal scores the item with the lower index comes first. Raises ``ValueError`` for tensors
    whose shapes differ, scores that are not finite, and a user with fewer than ``k`` unseen items.
    """
    if scores.shape != seen.shape:
        raise ValueError(f"scores {tuple(scores.shape)} and seen {tuple(seen.shape)} differ")
    if not scores.isfinite().all():
        raise ValueError("a score is not finite")
    most = int((~seen).sum(1).min())
    if not 1 <= k <= most:
        raise ValueError(f"k must be 1 to {most}, the fewest unseen items, got {k}")
    scores = scores.masked_fill(seen, -torch.inf)
    return scores.argsort(dim=1, descending=True, stable=True)[:, :k]


def ranking_metrics(lists: torch.Tensor, relevant: torch.Tensor) -> pd.DataFrame:
    """Return ``precision, recall, ndcg`` of the lists, one row per user with a relevant item.

    The index is the user's, from 0. Precision is the share of the list that is relevant, recall
    the share of the relevant items that are on the list. NDCG sums 1 / log2(1 + rank) over the
    hits, divided by the sum of a perfect list.
    """
    k = lists.shape[1]
    hits = relevant.gather(1, lists).double()  # (num_users, k)
    num_relevant = relevant.sum(1)  # (num_users,)
    gains = 1 / torch.arange(2, k + 2, dtype=torch.float64).log2()  # (k,)
    perfect = torch.cat([torch.zeros(1), gains.cumsum(0)])[num_relevant.clamp(max=k)]
    ndcg = (hits @ gains) / perfect
    metrics = {"precision": hits.mean(1), "recall": hits.sum(1) / num_relevant, "ndcg": ndcg}
    return pd.DataFrame(metrics)[(num_relevant > 0).numpy()]


def coverage_and_popularity(lists: torch.Tensor, num_ratings: torch.Tensor) -> dict[str, float]:
    """Return ``coverage`` and ``popularity`` of the lists.

    These are the share of all items that are on any list, and the mean number of training ratings
    of the listed items.
    """
    return {
        "coverage": lists.unique().numel() / len(num_ratings),
        "popularity": float(num_ratings[lists].double().mean()),
    }
