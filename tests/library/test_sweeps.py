"""Rows of a sweep, and what its cache holds."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l import experiments

TRIALS = [{"level": 0.9, "best": 4}, {"level": 0.7, "best": 3}, {"level": 0.8, "best": 1}]
FITS = []  # the calls of `fit`


@pytest.fixture(autouse=True)
def no_calls():
    FITS.clear()


def fit(train_data, held_out, sizes, num_epochs, seed, level=1.0, best=2, fail=False, stop=None):
    """Learn nothing; the validation RMSE is `level` plus the distance of the epoch from `best`."""
    if len(FITS) == stop:
        raise KeyboardInterrupt
    FITS.append((num_epochs, seed, level))
    if fail:
        raise FloatingPointError("the loss is not finite")

    epochs = pd.RangeIndex(1, num_epochs + 1, name="epoch")
    curve = [level + abs(epoch - best) for epoch in epochs]
    history = pd.DataFrame({"test_rmse": curve}, index=epochs)
    return experiments.Fit(None, history, lambda table: torch.full((len(table),), 3.0), 7)


def sweep(ratings, trials=TRIALS, num_epochs=5, splits=(0,), cache=None, label="m", **settings):
    models = {label: {"fit": fit, **settings}}
    return experiments.run_sweep(ratings, models, trials, num_epochs, splits, cache)


def test_best_trial_and_epoch_on_validation_are_refitted(ratings):
    row = sweep(ratings).iloc[0]
    assert row["chosen"] == '{"level": 0.7, "best": 3}'
    assert (row["epochs"], row["valid_rmse"], row["trials"], row["parameters"]) == (3, 0.7, 3, 7)
    assert FITS == [(5, 0, 0.9), (5, 0, 0.7), (5, 0, 0.8), (3, 0, 0.7)]
    _, test = d2l.split_data_ml100k(*ratings, "random", 0.1, seed=0)
    assert row["test_rmse"] == pytest.approx(((test["rating"] - 3) ** 2).mean() ** 0.5)


def test_without_trials_a_model_is_trained_for_all_epochs(ratings):
    row = sweep(ratings, ()).iloc[0]
    assert FITS == [(5, 0, 1.0)]
    assert row["epochs"] == 5
    assert math.isnan(row["valid_rmse"])


def test_every_model_gets_the_same_number_of_trials(ratings):
    models = {"a": {"fit": fit}, "b": {"fit": fit, "trials": TRIALS[:2]}}
    with pytest.raises(ValueError, match=r"same number of trials, got \{'a': 3, 'b': 2\}"):
        experiments.run_sweep(ratings, models, TRIALS)


def test_a_diverging_trial_is_left_out_and_it_raises_if_all_diverge(ratings):
    diverges = {"level": 0.1, "fail": True}
    table = sweep(ratings, [diverges, *TRIALS])
    assert table["chosen"].item() == '{"level": 0.7, "best": 3}'
    with pytest.raises(FloatingPointError, match="every trial diverges"):
        sweep(ratings, [diverges, diverges])


def test_numpys_numbers_are_settings(ratings, tmp_path):
    trials = [{"lr": lr} for lr in np.array([0.02, 0.05])]
    models = {"k": {"num_hidden": np.int64(3), "dropout": np.float32(0.1)}}
    table = experiments.run_sweep(ratings, models, trials, np.int64(2), np.arange(2), tmp_path)
    assert table["split"].tolist() == [0, 1]
    assert set(table["chosen"]) <= {'{"lr": 0.02}', '{"lr": 0.05}'}


def test_finished_rows_are_taken_from_the_cache(ratings, tmp_path):
    cache = tmp_path / "a folder" / "that is made"
    table = sweep(ratings, splits=range(2), cache=cache)
    assert len(FITS) == 2 * (len(TRIALS) + 1)
    FITS.clear()
    pd.testing.assert_frame_equal(sweep(ratings, splits=range(2), cache=cache), table)
    assert sweep(ratings, splits=range(2), cache=cache, label="n")["model"].tolist() == ["n", "n"]
    assert FITS == []


@pytest.mark.parametrize(
    "change",
    [
        {"num_epochs": 6},
        {"splits": [1]},
        {"trials": [*TRIALS[:2], {"level": 0.6}]},
        {"fail": False},
        {"fit": partial(fit, stop=60)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_was_changed_is_fitted_again(ratings, tmp_path, change):
    sweep(ratings, cache=tmp_path, fit=partial(fit, stop=50))
    FITS.clear()
    sweep(ratings, cache=tmp_path, **{"fit": partial(fit, stop=50), **change})
    assert len(FITS) == len(TRIALS) + 1


def test_cached_rows_are_of_the_same_data(ratings, tmp_path):
    data = ratings[0]
    for other in (
        (data, 15, 15),
        (data.assign(rating=data["rating"].clip(lower=3)), 15, 15),
        (data.rename(columns={"user_id": "item_id", "item_id": "user_id"}), 15, 15),
        (data, 15, 16),
    ):
        FITS.clear()
        sweep(other, (), cache=tmp_path)
        assert len(FITS) == 1


def test_a_changed_function_of_the_same_name_is_fitted_again(ratings, tmp_path):
    def init(net, ratings):
        net.decoder.bias.data.fill_(4.0)

    first = init

    def init(net, ratings):
        net.decoder.bias.data.fill_(2.0)

    rows = [
        experiments.run_sweep(ratings, {"m": {"init": f, "num_hidden": 3}}, (), 1, [0], tmp_path)
        for f in (first, init, first)
    ]
    rmse = [table["train_rmse"].item() for table in rows]
    assert abs(rmse[0] - rmse[1]) > 0.01
    assert rmse[2] == rmse[0]


def test_ctrl_c_returns_the_finished_rows_and_the_sweep_continues_from_there(
    ratings, tmp_path, monkeypatch, capsys
):
    run = {"splits": range(3), "cache": tmp_path}
    monkeypatch.setattr(fit, "__defaults__", (*fit.__defaults__[:-1], 5))  # stop
    assert sweep(ratings, **run)["split"].tolist() == [0]
    assert "stopped by hand after 1 of 3 models" in capsys.readouterr().out
    monkeypatch.undo()
    FITS.clear()
    assert len(sweep(ratings, **run)) == 3
    assert len(FITS) == 2 * (len(TRIALS) + 1)


def test_a_setting_that_json_cannot_hold_is_refused_before_training(ratings, tmp_path):
    with pytest.raises(TypeError, match="settings must be text, numbers, lists or functions"):
        sweep(ratings, cache=tmp_path, level={1, 2})
    assert FITS == []
