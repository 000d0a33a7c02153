"""Synthetic ratings have the shape and skew of MovieLens."""

import pytest
import torch

from autorec_d2l.sparse.synthetic import MOVIELENS, synthetic_ratings


def test_shape_number_and_skew_are_those_of_movielens_100k():
    shape, num_ratings = MOVIELENS["100K"]
    matrix = synthetic_ratings(num_ratings, shape)
    assert matrix.shape == shape
    assert len(matrix.values) == num_ratings  # the matrix refuses a cell that occurs twice
    assert set(matrix.values.tolist()) == {1, 2, 3, 4, 5}
    by_user = torch.bincount(matrix.col, minlength=shape[1])
    for counts, share in ((matrix.crow.diff(), 0.43), (by_user, 0.32)):
        top_tenth = counts.sort(descending=True).values[: len(counts) // 10].sum()
        assert float(top_tenth / num_ratings) == pytest.approx(share, abs=0.06)


def test_the_seed_determines_the_ratings():
    first, again, other = (synthetic_ratings(50, (30, 20), seed) for seed in (0, 0, 1))
    assert torch.equal(first.col, again.col)
    assert torch.equal(first.values, again.values)
    assert not torch.equal(first.col, other.col)


@pytest.mark.parametrize("num_ratings", [0, 301])
def test_too_few_or_too_many_ratings_are_refused(num_ratings):
    with pytest.raises(ValueError, match="num_ratings must be 1 to 300"):
        synthetic_ratings(num_ratings, (30, 20))
