"""What the benchmarks are made of: headers of results files, and what waits for a GPU."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

FOLDER = Path(__file__).parent / "benchmarks"
sys.path.insert(0, str(FOLDER))

import provenance  # noqa: E402
import train_time_gpu  # noqa: E402


def test_a_results_file_names_commit_and_data(ml100k, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(provenance, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["some/where/run.py", "--keep", "a/b", "--fast"])
    table = pd.DataFrame({"a": [1.25]})
    provenance.write_results(table, "t.csv", others="mxnet 1.9.1", data=("ml-100k", "synthetic"))
    lines = (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()
    header = dict(line.removeprefix("# ").split(": ", 1) for line in lines[:6])
    assert list(header) == ["command", "versions", "commit", "data", "machine", "date"]
    assert header["command"] == "python benchmarks/run.py --keep PATH --fast"
    assert header["versions"].endswith(", mxnet 1.9.1")
    assert re.fullmatch(r"[0-9a-f]{7,}(\+changes)?|unknown", header["commit"])
    assert header["data"] == (  # the hash of the file u.data
        "ml-100k sha256 06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490; synthetic"
    )
    assert lines[6:] == ["a", "1.25"]
    assert "wrote results/t.csv" in capsys.readouterr().out


def test_a_changed_file_shows_beside_the_commit(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert provenance.commit() == "unknown"
    git("init")
    (tmp_path / "file").write_text("1", encoding="utf-8")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "one")
    assert re.fullmatch("[0-9a-f]{7,}", provenance.commit())
    (tmp_path / "autorec_d2l" / "results").mkdir(parents=True)
    (tmp_path / "autorec_d2l" / "results" / "new.csv").write_text("a", encoding="utf-8")
    assert not provenance.commit().endswith("+changes")
    (tmp_path / "file").write_text("2", encoding="utf-8")
    assert provenance.commit().endswith("+changes")


def test_elsewhere_than_on_linux_a_benchmark_ends_with_a_reason(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    provenance.require_linux()
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit, match="runs on Linux only"):
        provenance.require_linux()


def test_the_gpu_command_takes_each_test_that_needs_one():
    class Collected:
        def pytest_collection_finish(self, session):
            self.names = {item.originalname for item in session.items}

    collected = Collected()
    files = [str(FOLDER.parent / f"test_{name}.py") for name in ("sparse", "devices")]
    options = ["--collect-only", "-q", "-p", "no:cacheprovider", *files]
    pytest.main(options, plugins=[train_time_gpu.NeedsGpu(), collected])
    assert {
        "test_outputs_and_gradients_are_the_dense_ones",  # one parameter of it
        "test_a_matrix_on_a_gpu_gives_the_batches_of_the_one_in_memory",
        "test_a_gpu_trains_as_the_cpu_does",
        "test_no_batch_waits_for_the_gpu",
        "test_two_gpus_train_as_one_does",
    } <= collected.names
    assert "test_half_squares_is_l2loss_on_a_whole_batch" not in collected.names


def test_the_rows_of_the_gpu_command_on_the_cpu(ml100k, monkeypatch):
    monkeypatch.setattr(
        train_time_gpu, "CONFIGURATIONS", train_time_gpu.CONFIGURATIONS[::2]
    )  # dense and sparse
    table = train_time_gpu.summarize(train_time_gpu.time_configurations("cpu", 1, 2))
    assert list(table.index) == ["ours, dense", "ours, sparse"]
    assert table["test_rmse"].iloc[0] == pytest.approx(table["test_rmse"].iloc[1], rel=1e-5)
    rates = table["cells_per_s"] / table["ratings_per_s"]
    assert rates.to_numpy() == pytest.approx(1682 * 943 / 90_000)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_the_gpu_command_refuses_a_machine_without_one():
    done = subprocess.run(
        [sys.executable, FOLDER / "train_time_gpu.py"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.fullmatch(r"No GPU here: .*nothing to measure\.\n", done.stderr)
