"""A rating off the scale is refused at every door, and naming the scale is the way in."""

import math
import re

import numpy as np
import pandas as pd
import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l.data.tensors import rating_triples
from autorec_d2l.evaluation import masked_mae
from autorec_d2l.data.rating_scale import STARS
from autorec_d2l.sparse import RatingMatrix

CPU = [torch.device("cpu")]
OFF = [0, 6, 9, 2.5, math.nan, -1, math.inf]
HALF_STARS = d2l.RatingScale(0.5, 5, 0.5)
IDS = torch.tensor([0, 1, 2])


def table(*ratings):
    """Users 3, 2 and 1 rate items 1, 2 and 3; the index says nothing of the row."""
    columns = {"user_id": [3, 2, 1], "item_id": [1, 2, 3], "rating": ratings}
    return pd.DataFrame(columns, index=[7, 7, 7])


def train(batches, net, **options):
    trainer = torch.optim.Adam(net.parameters())
    return d2l.train_recsys_rating(
        net, batches, None, d2l.L2Loss(), trainer, 1, CPU, verbose=False, **options
    )


def matrix(*ratings):
    return torch.tensor([[0, 4, ratings[0]], [ratings[1], 0, 0], [0, 0, ratings[2]]])


def train_autorec(ratings, **options):
    return train([torch.ones(2, 3), matrix(*ratings)], d2l.AutoRec(2, 3), **options)


def train_mf(ratings, **options):
    return train([(IDS, IDS, torch.tensor(ratings))], d2l.MF(2, 3, 3), **options)


def ask_autorec(ratings, **options):
    rows = d2l.load_array((torch.ones(3, 3),), 2, is_train=False)
    return d2l.evaluator(d2l.AutoRec(2, 3), rows, matrix(*ratings), CPU, **options)


def ask_mf(ratings, **options):
    batches = d2l.load_array((IDS, IDS, torch.tensor(ratings)), 2, is_train=False)
    return d2l.evaluator_mf(d2l.MF(2, 3, 3), batches, CPU, **options)


DOORS = {
    "a table as triples": (
        lambda ratings, **scale: rating_triples(table(*ratings), 3, 3, **scale),
        "rating must be {}, got {} at user 2, item 2, data.iloc[1]",
    ),
    "a table as a matrix": (
        lambda ratings, **scale: d2l.load_data_ml100k(table(*ratings), 3, 3, **scale),
        "rating must be {}, got {} at user 2, item 2, data.iloc[1]",
    ),
    "batches of rows": (
        train_autorec,
        "ratings in batch 1 of train_iter must be {}, got {} at index [1, 0]",
    ),
    "batches of triples": (
        train_mf,
        "ratings in batch 0 of train_iter must be {}, got {} at index 1",
    ),
    "a test matrix": (ask_autorec, "ratings to compare with must be {}, got {} at index [1, 0]"),
    "test triples": (
        ask_mf,
        "scores of test_iter must be {}, got {} at index 1",
    ),
    "masked_rmse": (
        lambda ratings, **scale: d2l.masked_rmse([(torch.ones(3), np.array(ratings))], **scale),
        "ratings to compare with must be {}, got {} at index [1]",
    ),
    "masked_mae": (
        lambda ratings, **scale: masked_mae([(torch.ones(3), ratings)], **scale),
        "ratings to compare with must be {}, got {} at index [1]",
    ),
    "a sparse matrix": (
        lambda ratings, **scale: RatingMatrix(
            IDS.flip(0), IDS, torch.tensor(ratings), (3, 3), **scale
        ),
        "ratings must be {}, got {} at row 1, column 1",
    ),
}
ZERO_IS_EMPTY = {"batches of rows", "a test matrix", "masked_rmse", "masked_mae"}


@pytest.mark.parametrize("off", OFF)
@pytest.mark.parametrize("door", DOORS)
def test_a_rating_off_the_scale_is_refused_at_every_door(door, off):
    enter, message = DOORS[door]
    ratings = [5.0, off, 1.0]
    if door in ZERO_IS_EMPTY and off == 0:
        enter(ratings)
        return
    with pytest.raises(ValueError, match=f"got {off:g} at") as error:
        enter(ratings)
    found = str(error.value)
    assert found.startswith(message.format("whole numbers from 1 to 5", f"{off:g}"))
    assert ("dropna()" if off != off else "scale=RatingScale(0.5, 5, 0.5)") in found


@pytest.mark.parametrize("door", DOORS)
def test_half_stars_go_in_where_their_scale_is_named(door):
    enter, message = DOORS[door]
    enter([0.5, 2.5, 4.5], scale=HALF_STARS)
    with pytest.raises(ValueError, match=r"got 2\.25 at") as error:
        enter([0.5, 2.25, 4.5], scale=HALF_STARS)
    assert str(error.value).startswith(message.format("0.5 to 5 in steps of 0.5", "2.25"))


@pytest.mark.parametrize("door", ["a table as a matrix", *sorted(ZERO_IS_EMPTY)])
@pytest.mark.parametrize("low", [0, -10])
def test_a_dense_matrix_takes_no_scale_with_0_on_it(door, low):
    with pytest.raises(ValueError, match="0 means 'not rated', so all ratings have to be above 0"):
        DOORS[door][0]([5.0, 4.0, 1.0], scale=d2l.RatingScale(low, 10))


@pytest.mark.parametrize("door", sorted(set(DOORS) - ZERO_IS_EMPTY - {"a table as a matrix"}))
def test_other_doors_take_a_rating_of_0(door):
    DOORS[door][0]([-10.0, 0.0, 7.5], scale=d2l.RatingScale(-10, 10, 0))


def test_signed_ratings_were_once_trained_on_their_absolute_value():
    with pytest.raises(ValueError, match="got -7 at user 3, item 1"):
        d2l.load_data_ml100k(table(-7, 4, 1), 3, 3)
    with pytest.raises(ValueError, match=r"got -7 at index \[0, 2\]"):
        train_autorec([-7.0, 4.0, 1.0])


def test_half_stars_from_the_table_to_the_two_numbers_of_the_history():
    data = pd.DataFrame({"user_id": [1, 2, 3, 1], "item_id": [1, 1, 2, 2]})
    data["rating"] = [0.5, 4.5, 3, 2.5]
    users, items, scores, inter = d2l.load_data_ml100k(data, 3, 2, scale=HALF_STARS)
    assert inter.tolist() == [[0.5, 4.5, 0], [2.5, 0, 3]]
    for net, arrays, inter_mat, evaluator in (
        (d2l.AutoRec(2, 3), (inter,), inter, None),
        (d2l.AutoRec(2, 3), (inter,), inter, d2l.evaluator),
        (d2l.MF(2, 3, 2), (users, items, scores), None, None),
        (d2l.MF(2, 3, 2), (users, items, scores), None, d2l.evaluator_mf),
    ):
        trainer = torch.optim.Adam(net.parameters())
        batches = d2l.load_array(arrays, 2, is_train=False)
        history = d2l.train_recsys_rating(
            net,
            batches,
            batches,
            d2l.L2Loss(),
            trainer,
            2,
            CPU,
            evaluator,
            inter_mat,
            scale=HALF_STARS,
        )
        assert history[["train_rmse", "test_rmse"]].notna().all(axis=None)


def test_without_a_scale_every_cell_counts():
    predictions, targets = torch.tensor([1.0, 2, 3]), torch.tensor([0.0, 2, 9])
    assert d2l.masked_rmse([(predictions, targets)], scale=None) == math.sqrt(37 / 3)


def test_without_a_scale_a_target_of_0_counts_in_training_too():
    class Ones(torch.nn.Linear):
        def forward(self, rows):
            return 0 * super().forward(rows) + 1

    net = Ones(3, 3)
    history = train([torch.tensor([[0.0, 1, 9]])], net, scale=None)
    assert history["train_rmse"].item() == pytest.approx(math.sqrt(65 / 3))
    history = train([torch.tensor([[0.0, 1, 5]])], net)
    assert history["train_rmse"].item() == pytest.approx(math.sqrt(16 / 2))


@pytest.mark.parametrize("ends", [(5, 1), (1, 1), (math.nan, 5), (1, 5, -1)])
def test_a_scale_without_room_is_refused(ends):
    with pytest.raises(ValueError, match=re.escape("a scale needs low < high and step >= 0")):
        d2l.RatingScale(*ends)


def test_bounded_and_unbounded_are_each_others_inverse():
    for scale in (STARS, HALF_STARS, d2l.RatingScale(-10, 10, 0)):
        assert scale.bounded(torch.tensor(0.0)) == (scale.low + scale.high) / 2
        assert scale.bounded(torch.tensor(scale.unbounded(2.5))) == pytest.approx(2.5)
    assert STARS.clip(torch.tensor([-3.0, 2.2, 7])).tolist() == pytest.approx([1, 2.2, 5])
