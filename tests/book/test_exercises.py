"""The results of the exercises are the sweeps that their chapters describe."""

import re
from pathlib import Path

import pytest

from autorec_d2l import experiments
from autorec_d2l.experiments.results import as_json

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("chapter", ["width", "depth", "activations"])
def test_results_are_the_sweep_that_the_chapter_describes(chapter, monkeypatch):
    """Five splits, the chapter's models and trials, as many for each; nothing at a wrong limit."""
    monkeypatch.syspath_prepend(ROOT / "tests" / "benchmarks")
    import exercises

    path = ROOT / "book" / f"exercise_{chapter}.ipynb"
    sweeps = exercises.read_settings(path)["sweeps"]
    table = experiments.read_results(f"exercise_{chapter}.csv")
    assert set(table["sweep"]) == set(sweeps)
    for name, sweep in sweeps.items():
        rows = table[table["sweep"] == name]
        splits = rows.groupby("model")["split"].agg(sorted)
        assert set(splits.index) == set(sweep["models"])
        assert all(found == list(range(5)) for found in splits)
        assert rows["epochs"].between(1, sweep["num_epochs"]).all()
        for row in rows.itertuples():
            trials = sweep["models"][row.model].get("trials", sweep.get("trials", []))
            assert row.trials == len(trials)
            names = [as_json(trial) for trial in trials or [{}]]
            assert row.chosen in names


@pytest.mark.parametrize("chapter", ["width", "depth", "activations"])
def test_results_say_how_they_were_made(chapter):
    path = ROOT / "autorec_d2l" / "results" / f"exercise_{chapter}.csv"
    head = path.read_text(encoding="utf-8").splitlines()[:6]
    names = ("command", "versions", "commit", "data", "machine", "date")
    for line, name in zip(head, names, strict=True):
        assert re.match(rf"# {name}: \S", line)
    assert "benchmarks/exercises.py" in head[0]
