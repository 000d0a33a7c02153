"""The results of the exercises are the sweeps that their chapters describe."""

import sys
from pathlib import Path

import pytest

import autorec_d2l as d2l
from autorec_d2l import experiments
from autorec_d2l.experiments.results import as_json

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from exercises import read_settings, run_sweep
from tuning import tune_and_test

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("chapter", ["width", "depth", "activations"])
def test_results_are_the_sweeps_of_the_chapter(chapter):
    """The chapter's models on five splits, each with all of its trials, and a full header."""
    sweeps = read_settings(ROOT / "book" / f"exercise_{chapter}.ipynb")["sweeps"]
    table = experiments.read_results(f"exercise_{chapter}.csv")
    assert set(table["sweep"]) == set(sweeps)
    for name, sweep in sweeps.items():
        rows = table[table["sweep"] == name]
        splits = rows.groupby("model")["split"].agg(sorted)
        assert splits.to_dict() == {model: [0, 1, 2, 3, 4] for model in sweep["models"]}
        assert rows["epochs"].between(1, sweep["num_epochs"]).all()
        for row in rows.itertuples():
            trials = sweep["models"][row.model].get("trials", sweep.get("trials", []))
            assert row.trials == len(trials)
            assert row.chosen in map(as_json, trials or [{}])

    path = ROOT / "autorec_d2l" / "results" / f"exercise_{chapter}.csv"
    header = dict(
        line.removeprefix("# ").split(": ", 1)
        for line in path.read_text(encoding="utf-8").splitlines()[:6]
    )
    assert list(header) == ["command", "versions", "commit", "data", "machine", "date"]
    assert "benchmarks/exercises.py" in header["command"]


TRIALS = [{"damping": 1.0}, {"damping": 5.0}]


def test_a_row_is_the_outcome_of_the_protocol(ratings):
    """A model with trials of its own, one with those of the sweep, and one without any."""
    parts = experiments.split_parts(ratings, split=3)
    bias = {"fit": experiments.fit_biases}
    table = run_sweep(parts, 3, {"a": bias, "b": {**bias, "trials": TRIALS[::-1]}}, 0, TRIALS)
    outcome = tune_and_test(experiments.fit_biases, TRIALS, parts)
    for row in table.itertuples():
        assert (row.split, row.trials, row.parameters) == (3, 2, 1 + 12 + 15)
        assert row.chosen == as_json(outcome.choice.trial)
        assert row.valid_rmse == pytest.approx(outcome.choice.valid_rmse)
        assert row.test_rmse == pytest.approx(outcome.test_rmse)
        predicted = outcome.model.predict(parts.train_data)
        assert row.train_rmse == pytest.approx(d2l.rmse(predicted, parts.train_data["rating"]))
    settings = {"num_hidden": 3, "batch_size": 5}
    row = run_sweep(parts, 3, {"a": settings}, 2).iloc[0]
    stars = experiments.fit_autorec(parts.train_data, None, parts.sizes, 2, 3, **settings)
    expected = experiments.score(stars.predict(parts.test_data), parts.test_data)["rmse"]
    assert (row["chosen"], row["epochs"], row["trials"]) == ("{}", 2, 0)
    assert row["test_rmse"] == pytest.approx(expected)


def test_every_model_gets_the_same_number_of_trials(ratings):
    models = {"a": {}, "b": {"trials": TRIALS[:1]}}
    with pytest.raises(ValueError, match=r"same number of trials, got \{'a': 2, 'b': 1\}"):
        run_sweep(experiments.split_parts(ratings), 0, models, 1, TRIALS)
