"""How good are the first ten? Lists of the best unseen items, judged by what people liked later.

Everything is ``(num_users, num_items)``: scores of any kind, which items a user has rated in
training, and which of the held-out ones are *relevant*. Metrics are as Järvelin and Kekäläinen
(2002) define them, for relevance that is yes or no.
"""

from __future__ import annotations

import pandas as pd
import torch


def user_item_matrix(
    table: pd.DataFrame, sizes: tuple[int, int], min_rating: int = 1
) -> torch.Tensor:
    """Return ``(num_users, num_items)``, True where a rating is at least ``min_rating`` stars."""
    table = table[table["rating"] >= min_rating]
    matrix = torch.zeros(sizes, dtype=torch.bool)
    matrix[table["user_id"].to_numpy() - 1, table["item_id"].to_numpy() - 1] = True
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
    left = (~seen).sum(1)
    if k < 1 or bool((left < k).any()):
        raise ValueError(f"k must be 1 to {int(left.min())}, the fewest unseen items, got {k}")
    scores = scores.masked_fill(seen, -torch.inf)
    return scores.argsort(dim=1, descending=True, stable=True)[:, :k]


def ranking_metrics(lists: torch.Tensor, relevant: torch.Tensor) -> pd.DataFrame:
    """Return ``precision, recall, ndcg`` of the lists, a row a user who has a relevant item.

    The index is the user's, from 0. Precision is the share of the list that is relevant, recall
    the share of what is relevant that is on the list. NDCG adds up 1 / log2(1 + place) over the
    hits, and divides by what a perfect list would get.
    """
    k = lists.shape[1]
    hits = relevant.gather(1, lists).double()  # (num_users, k)
    number = relevant.sum(1)  # (num_users,)
    gains = 1 / torch.arange(2, k + 2, dtype=torch.float64).log2()  # (k,)
    perfect = torch.cat([torch.zeros(1), gains.cumsum(0)])[number.clamp(max=k)]
    table = pd.DataFrame(
        {
            "precision": hits.mean(1),
            "recall": hits.sum(1) / number,
            "ndcg": (hits @ gains) / perfect,
        }
    )
    return table[(number > 0).numpy()]


def coverage_and_popularity(lists: torch.Tensor, num_ratings: torch.Tensor) -> dict[str, float]:
    """Return the lists' ``coverage``, the share of all items that are on somebody's list, and the
    ``popularity``, the mean number of training ratings of what is on them.
    """
    return {
        "coverage": lists.unique().numel() / len(num_ratings),
        "popularity": float(num_ratings[lists].double().mean()),
    }
