"""The protocol is kept: what is tuned on what, what is read when, and what a file remembers."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l import study
from autorec_d2l.study.protocol import _key

ROOT = Path(__file__).resolve().parents[1]


class Recorder:
    """A model that learns nothing: it records what it is given and makes up its history.

    The validation RMSE of a trial is its ``level`` plus the distance of the epoch from ``best``.
    """

    __name__ = "recorder"

    def __init__(self):
        self.fits, self.predicted = [], []

    def __call__(
        self, train_data, held_out, sizes, num_epochs, seed, level=1.0, best=2, fail=False
    ):
        self.fits.append((train_data, held_out, num_epochs, seed, level))
        if fail:
            raise FloatingPointError("the loss is not finite")

        def predict(table):
            self.predicted.append(table)
            return torch.full((len(table),), 3.0)

        epochs = pd.RangeIndex(1, num_epochs + 1, name="epoch")
        curve = [level + abs(epoch - best) for epoch in epochs]
        return study.Fit(pd.DataFrame({"test_rmse": curve}, index=epochs), predict, 7)


TRIALS = [{"level": 0.9, "best": 4}, {"level": 0.7, "best": 3}, {"level": 0.8, "best": 1}]


def test_tuning_never_sees_a_test_rating_and_the_test_is_read_once(ratings):
    fit = Recorder()
    study.run_sweep(ratings, {"m": {"fit": fit}}, TRIALS, num_epochs=5, splits=[3])
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
    row = study.run_sweep(ratings, {"m": {"fit": fit}}, TRIALS, num_epochs=5, splits=[0]).iloc[0]
    assert row["chosen"] == '{"level": 0.7, "best": 3}'
    assert (row["epochs"], row["valid_rmse"], row["trials"], row["parameters"]) == (3, 0.7, 3, 7)
    assert fit.fits[-1][2:] == (3, 0, 0.7)
    _, test = d2l.split_data_ml100k(*ratings, "random", 0.1, seed=0)
    assert row["test_rmse"] == pytest.approx(((test["rating"] - 3) ** 2).mean() ** 0.5)


def test_without_trials_a_model_is_trained_for_all_epochs(ratings):
    fit = Recorder()
    row = study.run_sweep(ratings, {"m": {"fit": fit}}, num_epochs=5, splits=[0]).iloc[0]
    assert [num_epochs for _, _, num_epochs, _, _ in fit.fits] == [5]
    assert row["epochs"] == 5
    assert math.isnan(row["valid_rmse"])


def test_every_model_gets_the_same_number_of_trials(ratings):
    models = {"a": {"fit": Recorder()}, "b": {"fit": Recorder(), "trials": TRIALS[:2]}}
    with pytest.raises(ValueError, match=r"same number of trials, got \{'a': 3, 'b': 2\}"):
        study.run_sweep(ratings, models, TRIALS)


def test_a_trial_that_diverges_loses_and_all_of_them_raise(ratings):
    diverges = {"level": 0.1, "fail": True}
    run = {"num_epochs": 5, "splits": [0]}
    table = study.run_sweep(ratings, {"m": {"fit": Recorder()}}, [diverges, *TRIALS], **run)
    assert table["chosen"].item() == '{"level": 0.7, "best": 3}'
    with pytest.raises(FloatingPointError, match="no trial"):
        study.run_sweep(ratings, {"m": {"fit": Recorder()}}, [diverges, diverges], **run)


def test_finished_rows_are_kept_and_not_fitted_again(ratings, tmp_path):
    keep = tmp_path / "keep.csv"
    first, again = Recorder(), Recorder()
    run = {"trials": TRIALS, "num_epochs": 5, "splits": range(2), "keep": keep}
    table = study.run_sweep(ratings, {"m": {"fit": first}}, **run)
    same = study.run_sweep(ratings, {"m": {"fit": again}}, **run)
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
        study.run_sweep(ratings, models, **arguments, keep=tmp_path / "keep.csv")
        return len(fit.fits)

    assert run(Recorder()) == len(TRIALS) + 1
    assert run(Recorder()) == 0
    assert run(Recorder(), **change) == len(TRIALS) + 1


def test_ctrl_c_keeps_what_is_finished_and_it_goes_on_from_there(ratings, tmp_path, capsys):
    class Stopped(Recorder):
        def __call__(self, *arguments, **settings):
            if len(self.fits) == 5:
                raise KeyboardInterrupt
            return super().__call__(*arguments, **settings)

    run = {"trials": TRIALS, "num_epochs": 5, "splits": range(3), "keep": tmp_path / "keep.csv"}
    table = study.run_sweep(ratings, {"m": {"fit": Stopped()}}, **run)
    assert table["split"].tolist() == [0]
    assert "stopped by hand after 1 of 3 models" in capsys.readouterr().out
    fit = Recorder()
    assert len(study.run_sweep(ratings, {"m": {"fit": fit}}, **run)) == 3
    assert len(fit.fits) == 2 * (len(TRIALS) + 1)


def test_a_stop_while_the_file_is_written_loses_nothing(ratings, tmp_path, monkeypatch):
    run = {"trials": TRIALS, "num_epochs": 5, "keep": tmp_path / "keep.csv"}
    study.run_sweep(ratings, {"m": {"fit": Recorder()}}, **run, splits=[0])
    before = run["keep"].read_bytes()

    def half(self, path, **_):
        path.write_text("model,spl")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half)
    with pytest.raises(OSError, match="disk full"):
        study.run_sweep(ratings, {"m": {"fit": Recorder()}}, **run, splits=[0, 1])
    assert run["keep"].read_bytes() == before


@pytest.mark.parametrize("splits", [2, 3, 5, 10])
def test_paired_interval_covers_the_mean_95_times_in_100(splits):
    draws = np.random.RandomState(splits).normal(0.3, 2.0, (splits, 40_000))
    mean, half_width = study.paired_interval(pd.DataFrame(draws))
    covered = ((mean - half_width < 0.3) & (mean + half_width > 0.3)).mean()
    assert 0.947 < covered < 0.953


def test_paired_interval_of_one_series():
    mean, half_width = study.paired_interval(pd.Series([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert mean == 3
    assert half_width == pytest.approx(2.776 * 2.5**0.5 / 5**0.5)


@pytest.mark.parametrize("splits", [1, 11])
def test_paired_interval_refuses(splits):
    with pytest.raises(ValueError, match=f"2 to 10 splits, got {splits}"):
        study.paired_interval(pd.Series(np.arange(splits)))


def test_compare_takes_differences_split_by_split():
    rmse = {"default": [1.0, 2.0, 3.0], "better": [0.9, 1.9, 2.9], "other": [1.1, 1.9, 3.2]}
    rows = [
        {"model": model, "split": split, "test_rmse": value}
        for model, values in rmse.items()
        for split, value in enumerate(values)
    ]
    table = study.compare(pd.DataFrame(rows), "default")
    assert table.index.tolist() == list(rmse)  # in the order of the sweep
    assert table["difference"].tolist() == pytest.approx([0, -0.1, 0.2 / 3])
    assert table["better_on"].tolist() == [0, 3, 1]
    assert table.loc["better", ["low", "high"]].tolist() == pytest.approx([-0.1, -0.1])
    assert table.loc["other", "low"] < 0 < table.loc["other", "high"]
    assert table["std"].tolist() == pytest.approx([1, 1, np.std(rmse["other"], ddof=1)])
    with pytest.raises(ValueError, match="every model is needed on every split"):
        study.compare(pd.DataFrame(rows[:-1]), "default")


# The results of the exercises.


def test_read_results_gives_a_table_without_its_provenance():
    table = study.read_results("exercise_width.csv")
    assert table.columns[0] == "sweep"
    with pytest.raises(FileNotFoundError):
        study.read_results("no_such.csv")


@pytest.mark.parametrize("chapter", ["width", "depth", "activations"])
def test_results_are_the_sweep_that_the_chapter_describes(chapter, monkeypatch):
    """Five splits, the chapter's models and trials, as many for each; nothing at a wrong limit."""
    monkeypatch.syspath_prepend(ROOT / "tests" / "benchmarks")
    import exercises

    path = ROOT / "book" / f"exercise_{chapter}.ipynb"
    sweeps = exercises.read_settings(path)["sweeps"]
    table = study.read_results(f"exercise_{chapter}.csv")
    assert set(table["sweep"]) == set(sweeps)
    for name, sweep in sweeps.items():
        rows = table[table["sweep"] == name]
        splits = rows.groupby("model")["split"].agg(sorted)
        assert set(splits.index) == set(sweep["models"])
        assert all(found == list(range(5)) for found in splits)
        assert (rows["trials"] == len(sweep.get("trials", ()))).all()
        assert rows["epochs"].between(1, sweep["num_epochs"]).all()
        for row in rows.itertuples():
            trials = sweep["models"][row.model].get("trials", sweep.get("trials", [{}]))
            names = [json.dumps(trial, default=lambda f: f.__name__) for trial in trials]
            assert row.chosen in names


@pytest.mark.parametrize("chapter", ["width", "depth", "activations"])
def test_results_say_how_they_were_made(chapter):
    path = ROOT / "autorec_d2l" / "results" / f"exercise_{chapter}.csv"
    head = path.read_text(encoding="utf-8").splitlines()[:4]
    for line, name in zip(head, ("command", "versions", "machine", "date"), strict=True):
        assert re.match(rf"# {name}: \S", line)
    assert "tests/benchmarks/exercises.py" in head[0]


def test_keys_name_functions():
    assert '"tune"' in _key("a", 0, 1, {"init": study.tune})
