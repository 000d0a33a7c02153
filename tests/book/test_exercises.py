"""The results of the exercises are the sweeps that their chapters describe."""

from pathlib import Path

import pytest

from autorec_d2l import experiments
from autorec_d2l.experiments.results import as_json

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("chapter", ["width", "depth", "activations"])
def test_results_are_the_sweeps_of_the_chapter(chapter, monkeypatch):
    """The chapter's models on five splits, each with all of its trials, and a full header."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from exercises import read_settings

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
