"""Synthetic ratings with the shape and skew of MovieLens, for benchmarks."""

from __future__ import annotations

import numpy as np

from autorec_d2l.sparse.matrix import RatingMatrix

# (num_items, num_users), number of ratings
MOVIELENS = {
    "100K": ((1_682, 943), 100_000),
    "1M": ((3_706, 6_040), 1_000_209),
    "10M": ((10_677, 69_878), 10_000_054),
    "25M": ((59_047, 162_541), 25_000_095),
}
# The numbers of ratings per item and per user are about lognormal. With these standard deviations
# of the logarithm the top 1 % of items have 8 to 9 % of the ratings, the top 10 % have 43 to 45 %,
# and the top 10 % of users have 31 %, as in MovieLens-100K and 1M.
SKEW = (1.5, 1.1)


def synthetic_ratings(num_ratings: int, shape: tuple[int, int], seed: int = 0) -> RatingMatrix:
    """Return ``num_ratings`` random whole stars in distinct cells of ``(num_items, num_users)``.

    Raises ``ValueError`` for more ratings than half of the cells: the draw would take too long.
    """
    num_cells = shape[0] * shape[1]
    if not 1 <= num_ratings <= num_cells // 2:
        raise ValueError(f"num_ratings must be 1 to {num_cells // 2:,}, got {num_ratings:,}")
    generator = np.random.default_rng(seed)
    tables = []  # an item, or a user, is in its table in proportion to its ratings
    for size, deviation in zip(shape, SKEW, strict=True):
        shares = generator.lognormal(0, deviation, size).cumsum()
        places = (np.arange(2**20) + 0.5) / 2**20
        tables.append((shares / shares[-1]).searchsorted(places))
    cells = np.empty(0, dtype=np.int64)  # in row-major order
    while (missing := num_ratings - len(cells)) > 0:
        draws = missing + missing // 4 + 100
        items, users = (table[generator.integers(2**20, size=draws)] for table in tables)
        # Not numpy's union1d: its hash table leaves gigabytes of small free blocks behind.
        cells = np.sort(np.concatenate([cells, items * shape[1] + users]))
        cells = cells[np.diff(cells, prepend=-1) > 0]
    surplus = generator.choice(len(cells), len(cells) - num_ratings, replace=False)
    items, users = np.divmod(np.delete(cells, surplus), shape[1])
    stars = generator.integers(1, 6, num_ratings, dtype=np.int8)
    return RatingMatrix(items, users, stars, shape)
