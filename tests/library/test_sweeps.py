"""The protocol is kept: what is tuned on what, what is read when, and what a file remembers."""

import json
import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l import experiments
from autorec_d2l.data.rating_scale import RatingScale
from autorec_d2l.experiments.sweeps import _key


class Recorder:
    """A model that learns nothing: it records what it is given and makes up its history.

    The validation RMSE of a trial is its ``level`` plus the distance of the epoch from ``best``.
    """

    __name__ = "recorder"

    def __init__(self, stop_after=None):
        self.fits, self.predicted, self.stop_after = [], [], stop_after

    def __call__(
        self, train_data, held_out, sizes, num_epochs, seed, level=1.0, best=2, fail=False
    ):
        if len(self.fits) == self.stop_after:
            raise KeyboardInterrupt
        self.fits.append((train_data, held_out, num_epochs, seed, level))
        if fail:
            raise FloatingPointError("the loss is not finite")

        def predict(table):
            self.predicted.append(table)
            return torch.full((len(table),), 3.0)

        epochs = pd.RangeIndex(1, num_epochs + 1, name="epoch")
        curve = [level + abs(epoch - best) for epoch in epochs]
        history = pd.DataFrame({"test_rmse": curve}, index=epochs)
        return experiments.Fit(None, history, predict, 7)


TRIALS = [{"level": 0.9, "best": 4}, {"level": 0.7, "best": 3}, {"level": 0.8, "best": 1}]


def test_tuning_never_sees_a_test_rating_and_the_test_is_read_once(ratings):
    fit = Recorder()
    experiments.run_sweep(ratings, {"m": {"fit": fit}}, TRIALS, num_epochs=5, splits=[3])
    train, test = d2l.split_data_ml100k(*ratings, "random", 0.1, seed=3)
    inner, valid = d2l.split_data_ml100k(train, *ratings[1:], "random", 0.1, seed=1003)
    *tuning, last = fit.fits
    assert len(tuning) == len(TRIALS)
    for train_data, held_out, num_epochs, seed, _ in tuning:
        assert train_data.equals(inner)
        assert held_out.equals(valid)
        assert (num_epochs, seed) == (5, 3)
    assert last[0].equals(train)
    assert last[1] is None
    assert [table.equals(test) for table in fit.predicted].count(True) == 1
    assert all(table.equals(train) or table.equals(test) for table in fit.predicted)


def test_best_trial_and_epoch_on_validation_are_refitted(ratings):
    fit = Recorder()
    row = experiments.run_sweep(
        ratings, {"m": {"fit": fit}}, TRIALS, num_epochs=5, splits=[0]
    ).iloc[0]
    assert row["chosen"] == '{"level": 0.7, "best": 3}'
    assert (row["epochs"], row["valid_rmse"], row["trials"], row["parameters"]) == (3, 0.7, 3, 7)
    assert fit.fits[-1][2:] == (3, 0, 0.7)
    _, test = d2l.split_data_ml100k(*ratings, "random", 0.1, seed=0)
    assert row["test_rmse"] == pytest.approx(((test["rating"] - 3) ** 2).mean() ** 0.5)


def test_without_trials_a_model_is_trained_for_all_epochs(ratings):
    fit = Recorder()
    row = experiments.run_sweep(ratings, {"m": {"fit": fit}}, num_epochs=5, splits=[0]).iloc[0]
    assert [num_epochs for _, _, num_epochs, _, _ in fit.fits] == [5]
    assert row["epochs"] == 5
    assert math.isnan(row["valid_rmse"])


def test_every_model_gets_the_same_number_of_trials(ratings):
    models = {"a": {"fit": Recorder()}, "b": {"fit": Recorder(), "trials": TRIALS[:2]}}
    with pytest.raises(ValueError, match=r"same number of trials, got \{'a': 3, 'b': 2\}"):
        experiments.run_sweep(ratings, models, TRIALS)


def test_a_trial_that_diverges_is_left_out_and_if_all_do_it_raises(ratings):
    diverges = {"level": 0.1, "fail": True}
    run = {"num_epochs": 5, "splits": [0]}
    table = experiments.run_sweep(ratings, {"m": {"fit": Recorder()}}, [diverges, *TRIALS], **run)
    assert table["chosen"].item() == '{"level": 0.7, "best": 3}'
    with pytest.raises(FloatingPointError, match="the loss of every trial becomes infinite"):
        experiments.run_sweep(ratings, {"m": {"fit": Recorder()}}, [diverges, diverges], **run)


def test_finished_rows_are_kept_and_not_fitted_again(ratings, tmp_path):
    keep = tmp_path / "keep.csv"
    first, again = Recorder(), Recorder()
    run = {"trials": TRIALS, "num_epochs": 5, "splits": range(2), "keep": keep}
    table = experiments.run_sweep(ratings, {"m": {"fit": first}}, **run)
    same = experiments.run_sweep(ratings, {"m": {"fit": again}}, **run)
    assert again.fits == []
    pd.testing.assert_frame_equal(table, same[table.columns])
    assert [path.name for path in tmp_path.iterdir()] == ["keep.csv"]


@pytest.mark.parametrize(
    "change",
    [
        {"num_epochs": 6},
        {"splits": [1]},
        {"trials": [*TRIALS[:2], {"level": 0.6}]},
        {"label": "n"},
        {"settings": {"fail": False}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_was_changed_is_fitted_again(ratings, tmp_path, change):
    def run(fit, label="m", settings=(), **changed):
        models = {label: {"fit": fit, **dict(settings)}}
        arguments = {"trials": TRIALS, "num_epochs": 5, "splits": [0], **changed}
        experiments.run_sweep(ratings, models, **arguments, cache=tmp_path / "keep.csv")
        return len(fit.fits)

    assert run(Recorder()) == len(TRIALS) + 1
    assert run(Recorder()) == 0
    assert run(Recorder(), **change) == len(TRIALS) + 1


def test_ctrl_c_keeps_what_is_finished_and_it_goes_on_from_there(ratings, tmp_path, capsys):
    run = {"trials": TRIALS, "num_epochs": 5, "splits": range(3), "keep": tmp_path / "keep.csv"}
    table = experiments.run_sweep(ratings, {"m": {"fit": Recorder(stop_after=5)}}, **run)
    assert table["split"].tolist() == [0]
    assert "stopped by hand after 1 of 3 models" in capsys.readouterr().out
    fit = Recorder()
    assert len(experiments.run_sweep(ratings, {"m": {"fit": fit}}, **run)) == 3
    assert len(fit.fits) == 2 * (len(TRIALS) + 1)


def test_a_stop_while_the_file_is_written_loses_nothing(ratings, tmp_path, monkeypatch):
    run = {"trials": TRIALS, "num_epochs": 5, "keep": tmp_path / "keep.csv"}
    experiments.run_sweep(ratings, {"m": {"fit": Recorder()}}, **run, splits=[0])
    before = run["keep"].read_bytes()

    def half(self, path, **_):
        path.write_text("model,spl", encoding="utf-8")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half)
    with pytest.raises(OSError, match="disk full"):
        experiments.run_sweep(ratings, {"m": {"fit": Recorder()}}, **run, splits=[0, 1])
    assert run["keep"].read_bytes() == before


def test_numpy_numbers_are_numbers(ratings):
    fit = Recorder()
    trials = [{"level": level} for level in np.array([0.9, 0.8], dtype="float32")]
    table = experiments.run_sweep(
        ratings, {"m": {"fit": fit, "best": np.int64(2)}}, trials, np.int64(3), np.arange(2)
    )
    assert table["split"].tolist() == [0, 1]
    assert json.loads(table["chosen"][0])["level"] == pytest.approx(0.8)
    assert {type(num_epochs) for _, _, num_epochs, _, _ in fit.fits} == {int}


def test_kept_rows_are_of_the_same_data(ratings, tmp_path):
    data, *sizes = ratings
    run = {"models": {"mean": {"fit": experiments.fit_mean}}, "splits": [0]}
    other = (data.assign(rating=data["rating"].clip(lower=3)), *sizes)
    rows = [
        experiments.run_sweep(r, **run, cache=tmp_path / "keep.csv")
        for r in (ratings, other, ratings)
    ]
    fresh = [experiments.run_sweep(r, **run) for r in (ratings, other)]
    rmse = [table["test_rmse"].item() for table in rows]
    assert rmse == pytest.approx([fresh[i]["test_rmse"].item() for i in (0, 1, 0)], abs=1e-12)
    assert rmse[0] != rmse[1]


def test_a_key_holds_what_a_function_does_and_not_only_its_name():
    def rate(x):
        return x

    first = rate

    def rate(x):
        return 2 * x

    assert _key({"init": first}) != _key({"init": rate})
    assert _key({"init": first}) == _key({"init": first})
    assert '"tune ' in _key({"init": experiments.tune})
    typed = {}
    exec("def one(x):\n    return 1\ndef two(x):\n    return 2\ntwo.__name__ = 'one'", typed)
    assert _key({"init": typed["one"]}) != _key({"init": typed["two"]})
    halves = [partial(experiments.warm_start, lr=lr) for lr in (0.1, 0.2)]
    assert _key({"init": halves[0]}) != _key({"init": halves[1]})
    assert _key({"scale": RatingScale(1, 5)}) != _key({"scale": RatingScale(0.5, 5, 0.5)})


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\n", '{"no": "table"}'])
def test_a_file_of_another_kind_is_not_kept_rows(ratings, tmp_path, text):
    keep = tmp_path / "keep.csv"
    keep.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"keep\.csv holds no finished rows of run_sweep"):
        experiments.run_sweep(ratings, {"m": {"fit": Recorder()}}, TRIALS, 3, [0], cache=keep)
    assert keep.read_text(encoding="utf-8") == text


def test_settings_that_no_file_can_hold_are_refused(ratings):
    with pytest.raises(TypeError, match="settings are words, numbers, lists and functions"):
        experiments.run_sweep(ratings, {"m": {"fit": Recorder(), "level": {1, 2}}}, TRIALS)
