"""Tables of ratings as tensors and matrices.

In a matrix 0 means "not rated", which is safe because a rating is 1 to 5 stars.
The names are those of the recommender chapter of Dive into Deep Learning (d2l.ai).
"""

from __future__ import annotations

import pandas as pd
import torch
from torch.utils.data import DataLoader

from autorec_d2l.data.loaders import load_array
from autorec_d2l.data.movielens import read_data_ml100k
from autorec_d2l.data.rating_scale import STARS, RatingScale
from autorec_d2l.data.splits import split_data_ml100k
from autorec_d2l.data.validation import check_ids, check_ratings

MAX_CELLS = 2**32  # of a dense matrix: 17 GB


def rating_triples(
    data: pd.DataFrame, num_users: int, num_items: int, scale: RatingScale = STARS
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a table of ratings as ``(users, items, scores)``, each ``(num_ratings,)``.

    ``users`` and ``items`` are indices from 0, int64; ``scores`` are stars, float32. The columns
    may have any numeric type. Raises as :func:`load_data_ml100k`.
    """
    users, items, scores = check_ratings(data, num_users, num_items, scale)
    return torch.from_numpy(users - 1), torch.from_numpy(items - 1), scores.float()


def pair_indices(
    data: pd.DataFrame, num_users: int, num_items: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the users and the items of a table as indices from 0, each ``(num_rows,)``, int64.

    The table needs no ratings, and may contain a pair more than once. Raises ``ValueError`` for an
    empty table and ids out of range.
    """
    users, items = check_ids(data, num_users, num_items)
    return torch.from_numpy(users - 1), torch.from_numpy(items - 1)


def load_data_ml100k(
    data: pd.DataFrame,
    num_users: int,
    num_items: int,
    feedback: str = "explicit",
    scale: RatingScale = STARS,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Load a table of ratings into tensors.

    Args:
        data: Columns ``user_id`` and ``item_id``, integers from 1, and ``rating``.
        num_users: The highest possible ``user_id``.
        num_items: The highest possible ``item_id``.
        feedback: ``"explicit"`` loads the ratings; ``"implicit"`` loads ones instead.
        scale: The possible ratings, all above 0.

    Returns:
        ``(users, items, scores, inter)``: indices from 0, int64, and ratings, float32, each
        ``(num_ratings,)``, and the interaction matrix, float32, ``(num_items, num_users)``, 0
        where there is no rating.

    Raises:
        ValueError: Another ``feedback``, an empty table, a column that is missing or not numeric,
            an id out of range, a matrix too large for memory, a duplicate pair, a rating off the
            ``scale``, and a ``scale`` that includes 0 or less.

    Example:
        ``users, items, scores, inter = load_data_ml100k(data, 943, 1682)``
    """
    if feedback not in ("explicit", "implicit"):
        raise ValueError(f"feedback must be 'explicit' or 'implicit', got {feedback!r}")
    if feedback == "implicit":
        data, scale = pd.DataFrame(data).assign(rating=1), STARS
    scale.check_dense()
    users, items, scores = rating_triples(data, num_users, num_items, scale)
    if num_users * num_items > MAX_CELLS:
        raise ValueError(
            f"a dense matrix of {num_users:,} users and {num_items:,} items takes "
            f"{num_users * num_items * 4 / 1e9:,.0f} GB: use autorec_d2l.sparse"
        )
    inter = torch.zeros(num_items, num_users, dtype=scores.dtype)
    inter[items, users] = scores
    return users, items, scores, inter


def split_and_load_ml100k(
    split_mode: str = "seq-aware",
    feedback: str = "explicit",
    test_ratio: float = 0.1,
    batch_size: int = 256,
    seed: int = 0,
) -> tuple[int, int, DataLoader, DataLoader]:
    """Read, split and load MovieLens-100K.

    Args:
        split_mode: A mode of :func:`split_data_ml100k`. Note the default, which is d2l's.
        feedback: ``"explicit"`` for ratings, ``"implicit"`` for ones.
        test_ratio: The share of the test data, for the mode ``random`` only.
        batch_size: Ratings in a batch. An incomplete last batch moves to the next epoch.
        seed: Seed of the split and of the order of the training data.

    Returns:
        ``(num_users, num_items, train_iter, test_iter)``; both iterators yield ``(users, items,
        scores)``, each ``(batch,)``.

    Raises:
        OSError: No source could provide the data.
        ValueError: As :func:`split_data_ml100k` and :func:`load_data_ml100k`.

    Example:
        ``num_users, num_items, train_iter, test_iter = split_and_load_ml100k("random")``
    """
    data, num_users, num_items = read_data_ml100k()
    parts = split_data_ml100k(data, num_users, num_items, split_mode, test_ratio, seed)
    train_arrays, test_arrays = (
        load_data_ml100k(part, num_users, num_items, feedback)[:3] for part in parts
    )
    train_iter = load_array(train_arrays, batch_size, seed=seed, last_batch="rollover")
    test_iter = load_array(test_arrays, batch_size, is_train=False)
    return num_users, num_items, train_iter, test_iter
