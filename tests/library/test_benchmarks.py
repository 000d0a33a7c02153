"""Headers of results files, and the command for machines with a GPU."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import provenance
import train_time_gpu


def test_a_results_file_names_commit_and_data(ml100k, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["some/where/run.py", "--cache", "a/b", "--fast"])
    table = pd.DataFrame({"a": [1.25]})
    provenance.write_results(table, "t.csv", others="mxnet 1.9.1", data=("ml-100k", "synthetic"))
    lines = (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()
    header = dict(line.removeprefix("# ").split(": ", 1) for line in lines[:6])
    assert list(header) == ["command", "versions", "commit", "data", "machine", "date"]
    assert header["command"] == "python benchmarks/run.py --cache PATH --fast"
    assert header["versions"].endswith(", mxnet 1.9.1")
    assert re.fullmatch(r"[0-9a-f]{7,}(\+changes)?|unknown", header["commit"])
    assert header["data"] == (  # the hash of the file u.data
        "ml-100k sha256 06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490; synthetic"
    )
    assert lines[6:] == ["a", "1.25"]


def test_a_changed_file_is_marked_beside_the_commit(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert provenance.commit() == "unknown"
    git("init")
    (tmp_path / "file").write_text("1", encoding="utf-8")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "one")
    (tmp_path / "autorec_d2l" / "results").mkdir(parents=True)
    (tmp_path / "autorec_d2l" / "results" / "new.csv").write_text("a", encoding="utf-8")
    assert re.fullmatch("[0-9a-f]{7,}", provenance.commit())
    (tmp_path / "file").write_text("2", encoding="utf-8")
    assert provenance.commit().endswith("+changes")


def test_the_gpu_command_runs_the_tests_that_need_one():
    class Item:
        def __init__(self, *reasons):
            self.marks = [pytest.mark.skipif(False, reason=reason).mark for reason in reasons]

        def iter_markers(self, name):
            return self.marks

    items = [Item(), Item("needs two GPUs"), Item("not on Windows"), Item("slow", "needs a GPU")]
    selected = [items[1], items[3]]
    train_time_gpu.NeedsGpu().pytest_collection_modifyitems(items)
    assert items == selected


def test_the_rows_of_the_gpu_command_on_the_cpu(ml100k, monkeypatch):
    dense_and_sparse = train_time_gpu.CONFIGURATIONS[::2]
    monkeypatch.setattr(train_time_gpu, "CONFIGURATIONS", dense_and_sparse)
    table = train_time_gpu.summarize(train_time_gpu.time_configurations("cpu", 1, 1))
    assert list(table.index) == ["ours, dense", "ours, sparse"]
    assert table["test_rmse"].iloc[0] == pytest.approx(table["test_rmse"].iloc[1], rel=1e-4)
    rates = table["cells_per_s"] / table["ratings_per_s"]
    assert rates.to_numpy() == pytest.approx(1682 * 943 / 90_000)


def test_the_gpu_command_refuses_a_machine_without_one(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["train_time_gpu.py"])
    with pytest.raises(SystemExit, match=r"No GPU here: .*nothing to measure"):
        train_time_gpu.main()
