"""Ratings off the scale are refused where they enter; other scales are accepted by name."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l.data.rating_scale import ANY_STARS, STARS
from autorec_d2l.data.tensors import rating_triples
from autorec_d2l.sparse import RatingMatrix

HALF_STARS = d2l.RatingScale(0.5, 5, 0.5)
SIGNED = d2l.RatingScale(-10, 10, 0)
IDS = torch.tensor([0, 1, 2])


def table(ratings):
    """Users 3, 2 and 1 rate items 1, 2 and 3; the index says nothing of the row."""
    columns = {"user_id": [3, 2, 1], "item_id": [1, 2, 3], "rating": ratings}
    return pd.DataFrame(columns, index=[7, 7, 7])


ENTRIES = {
    "a table as triples": lambda ratings, **scale: rating_triples(table(ratings), 3, 3, **scale),
    "a table as a matrix": lambda ratings, **scale: d2l.load_data_ml100k(
        table(ratings), 3, 3, **scale
    ),
    "a sparse matrix": lambda ratings, **scale: RatingMatrix(
        IDS.flip(0), IDS, torch.tensor(ratings), (3, 3), **scale
    ),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_rating_off_the_scale_is_refused_where_it_enters(entry):
    enter = ENTRIES[entry]
    with pytest.raises(ValueError, match=r"must be whole numbers from 1 to 5, got -7 at "):
        enter([5.0, -7.0, 1.0])
    enter([0.5, 2.5, 4.5], scale=HALF_STARS)
    with pytest.raises(ValueError, match=r"must be 0.5 to 5 in steps of 0.5, got 2.25 at "):
        enter([0.5, 2.25, 4.5], scale=HALF_STARS)


@pytest.mark.parametrize("off", [0, 6, 2.5, -1, math.nan, math.inf])
def test_the_row_and_a_way_out_are_named(off):
    with pytest.raises(
        ValueError, match=r"rating must be .* at user 2, item 2, data.iloc\[1\]; "
    ) as e:
        rating_triples(table([5.0, off, 1.0]), 3, 3)
    assert f"got {off:g} at" in str(e.value)
    assert ("dropna()" if math.isnan(off) else "scale=RatingScale(0.5, 5, 0.5)") in str(e.value)


def test_a_mask_is_no_rating():
    with pytest.raises(ValueError, match=r"got a mask \(bool\)"):
        STARS.check(torch.ones(3, dtype=torch.bool), "ratings")


def test_only_triples_can_hold_a_rating_of_0():
    assert rating_triples(table([-10.0, 0.0, 7.5]), 3, 3, SIGNED)[2].tolist() == [-10, 0, 7.5]
    with pytest.raises(ValueError, match="0 means 'not rated', so all ratings must be above 0"):
        d2l.load_data_ml100k(table([5.0, 4.0, 1.0]), 3, 3, scale=SIGNED)


def test_contains():
    ratings = torch.tensor([0.5, 1, 2.5, 2.25, 5, 5.5, math.nan])
    assert STARS.contains(ratings).int().tolist() == [0, 1, 0, 0, 1, 0, 0]
    assert HALF_STARS.contains(ratings).int().tolist() == [1, 1, 1, 0, 1, 0, 0]
    assert ANY_STARS.contains(ratings).int().tolist() == [0, 1, 1, 1, 1, 0, 0]
    # A step that floats cannot hold: a hundred tenths, of either precision.
    for dtype in (np.float32, np.float64):
        tenths = torch.from_numpy(np.arange(101).astype(dtype) / dtype(10))
        assert d2l.RatingScale(0, 10, 0.1).contains(tenths).all()


@pytest.mark.parametrize("ends", [(5, 1), (1, 1), (math.nan, 5), (1, 5, -1)])
def test_an_empty_scale_is_refused(ends):
    with pytest.raises(ValueError, match="a scale needs low < high and step >= 0"):
        d2l.RatingScale(*ends)


@pytest.mark.parametrize("scale", [STARS, HALF_STARS, SIGNED])
def test_the_maps_of_a_scale_and_their_inverses(scale):
    middle = (scale.low + scale.high) / 2
    assert scale.bounded(torch.tensor(0.0)).item() == pytest.approx(middle)
    assert scale.bounded(torch.tensor(scale.unbounded(2.5))).item() == pytest.approx(2.5)
    assert scale.to_stars(np.array([scale.low, middle, scale.high])) == pytest.approx([1, 3, 5])
    assert scale.from_stars(scale.to_stars(2.5)) == pytest.approx(2.5)
    assert scale.from_stars(3.0) - scale.from_stars(2.0) == pytest.approx(scale.units_per_star)
    ends = torch.tensor([-99.0, middle, 99])
    assert scale.clip(ends).tolist() == pytest.approx([scale.low, middle, scale.high])
