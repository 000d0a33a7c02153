"""Trials are evaluated on validation; the choice is fitted to all training data, tested once."""

import json
import math
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l import experiments
from autorec_d2l.data.rating_scale import STARS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from tuning import refit, tune, tune_and_test


class Model:
    """Record the arguments; predict `stars`. The validation curve is lowest at `best`.

    With `is_solved` the history is empty, as that of a model with a closed form.
    """

    def __init__(self, is_solved=False):
        self.fits, self.asked, self.is_solved = [], [], is_solved

    def __call__(
        self, train_data, held_out, sizes, num_epochs, seed, stars=3.0, best=2, fail=False
    ):
        if fail:
            raise FloatingPointError("the loss is not finite")
        self.fits.append((train_data, held_out, num_epochs, seed, stars))

        def predict(table):
            self.asked.append(table)
            return torch.full((len(table),), stars)

        epochs = pd.RangeIndex(1, num_epochs + 1, name="epoch")
        curve = [1.0 + stars / 100 + abs(epoch - best) for epoch in epochs]
        history = pd.DataFrame({"test_rmse": [] if self.is_solved else curve})
        history.index = epochs[: len(history)]
        return experiments.Fit(None, history, predict, 0)


@pytest.fixture
def parts(ratings):
    return experiments.split_parts(ratings, "random", 3)


def test_parts_are_those_of_the_protocol(ratings, parts):
    train, test = d2l.split_data_ml100k(*ratings, "random", 0.1, seed=3)
    inner, valid = d2l.split_data_ml100k(train, *ratings[1:], "random", 0.1, seed=1003)
    for part, expected in zip(parts, (train, test, inner, valid), strict=False):
        assert part.equals(expected)
    assert parts.sizes == ratings[1:]


def test_open_epochs_are_evaluated_after_each_and_fixed_ones_at_their_end(parts):
    fit = Model()
    trials = [{"stars": 5.0, "best": 4}, {"stars": 3.0, "num_epochs": 2}]
    choice = tune(fit, trials, parts, num_epochs=6, seed=7)
    (train_data, held_out, epochs, seed, _), (_, unseen, named, _, _) = fit.fits
    assert train_data.equals(parts.fit_data)
    assert held_out.equals(parts.valid_data)
    assert unseen is None
    assert (epochs, seed, named) == (6, 7, 2)
    stars = torch.full((len(parts.valid_data),), 3.0)
    at_its_end = experiments.score(stars, parts.valid_data)["rmse"]
    assert choice.tried["epochs"].tolist() == [4, 2]
    assert choice.tried["valid_rmse"].tolist() == pytest.approx([1.05, at_its_end])
    assert [json.loads(text) for text in choice.tried["settings"]] == trials
    better = trials[0] if at_its_end > 1.05 else trials[1]
    assert choice.trial == better
    assert choice.valid_rmse == pytest.approx(min(choice.tried["valid_rmse"]))


def test_the_choice_is_fitted_to_the_whole_and_the_test_is_read_once(parts):
    fit = Model()
    outcome = tune_and_test(
        fit, [{"best": 3}, {"stars": 9.0}], parts, 5, 1, clip=STARS, with_valid=True
    )
    assert outcome.choice.num_epochs == 3
    *_, last_but_one, last = fit.fits
    assert last_but_one[0].equals(parts.fit_data)
    assert last[0].equals(parts.train_data)
    assert [last_but_one[1], last[1]] == [None, None]
    assert last[2:4] == (3, 1)
    assert sum(table.equals(parts.test_data) for table in fit.asked) == 1
    assert len(outcome.valid_stars) == len(parts.valid_data)
    expected = experiments.score(torch.full((len(parts.test_data),), 3.0), parts.test_data)
    assert outcome.test_rmse == pytest.approx(expected["rmse"])
    assert outcome.test_mae == pytest.approx(expected["mae"])


def test_predictions_are_clipped_after_the_choice(parts):
    outcome = tune_and_test(Model(), [{"stars": 9.0}], parts, clip=STARS, with_valid=True)
    assert outcome.test_stars.eq(5).all()
    assert outcome.valid_stars.eq(5).all()
    assert tune_and_test(Model(), [{"stars": 9.0}], parts).test_stars.eq(9).all()


@pytest.mark.parametrize("trials", [[], [{"num_epochs": 4}]])
def test_where_nothing_is_open_nothing_is_tried(parts, trials):
    fit = Model()
    outcome = tune_and_test(fit, trials, parts, 4)
    assert len(fit.fits) == 1
    assert outcome.choice.num_epochs == 4
    assert math.isnan(outcome.choice.valid_rmse)
    assert outcome.choice.tried.empty
    assert outcome.valid_stars is None


def test_one_trial_with_open_epochs_has_them_chosen(parts):
    outcome = tune_and_test(Model(), [{}], parts, 10)
    assert outcome.choice.num_epochs == 2
    assert len(outcome.choice.tried) == 1


def test_a_diverging_trial_is_left_out_and_it_raises_if_all_diverge(parts):
    diverges = {"stars": -50.0, "fail": True}
    choice = tune(Model(), [diverges, {"best": 4}, {"stars": 5.0}], parts, 5)
    assert (choice.trial, choice.num_epochs) == ({"best": 4}, 4)
    assert choice.tried["valid_rmse"].isna().tolist() == [True, False, False]
    with pytest.raises(FloatingPointError, match="every trial diverges"):
        tune(Model(), [diverges, diverges], parts, 5)


def test_models_with_a_closed_form_are_evaluated_by_their_predictions(parts):
    fit = Model(is_solved=True)
    choice = tune(fit, [{"stars": 1.0}, {"stars": 3.2}], parts, num_epochs=30)
    assert choice.trial == {"stars": 3.2}
    assert choice.tried["valid_rmse"].notna().all()


def test_a_chosen_epoch_is_a_training_of_that_many_epochs(ratings):
    """AutoRec at the best epoch of a longer training is what `refit` fits, on the same data."""
    parts = experiments.split_parts(ratings)
    settings = {"num_hidden": 4, "batch_size": 5, "lr": 0.05, "dropout": 0.0}
    choice = tune(experiments.fit_autorec, [settings], parts, 8)
    again = refit(experiments.fit_autorec, choice, parts.fit_data, parts.sizes)
    rmse = experiments.score(again.predict(parts.valid_data), parts.valid_data)["rmse"]
    assert rmse == pytest.approx(choice.valid_rmse, abs=1e-5)
