"""Training in two processes that torchrun starts once; they run torchrun_worker.py."""

import json
import os
import subprocess
import sys

import pytest
import torch
import torchrun_worker


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The reports of a process without torchrun and of each of two, and what these printed."""
    folder = tmp_path_factory.mktemp("reports")
    expected = torchrun_worker.report(folder)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, torchrun_worker.__file__, folder],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads((folder / f"2.{rank}").read_text("utf-8")) for rank in range(2)]
    return expected, found, done.stdout


def test_several_processes_train_as_one(reports):
    """Their shares of a batch differ: without weights for them, parameters would differ by 0.09."""
    expected, found, _ = reports
    for report in found:
        for name in ("weights", "rmse"):
            difference = torch.tensor(report[name]) - torch.tensor(expected[name])
            assert difference.abs().max() < 3e-6, name
        assert report["weights"] == found[0]["weights"]


def test_each_process_drops_other_units_and_a_checkpoint_restores_them(reports):
    expected, found, _ = reports
    assert len({report["seed"] for report in found}) == 2
    assert all(report["is_resumed_alike"] for report in [expected, *found])


def test_all_processes_stop_alike(reports):
    """By the test RMSE of the first process, or because a callback of the last one says so."""
    expected, found, _ = reports
    early, by_last = found[0]["stopped"]
    assert [row[1] for row in early["rmse"]] == [3, 2, 1, 2, 3]
    assert [row[1] for row in expected["stopped"][0]["rmse"]] == [3, 2, 1, 2, 3]
    assert len(by_last["rmse"]) == 2
    assert all(report["stopped"] == found[0]["stopped"] for report in found)


def test_all_processes_refuse_the_same(reports):
    """One that raised alone would leave the others waiting."""
    expected, found, _ = reports
    messages = {
        "nan": "the loss is not finite",
        "negative": "a dense matrix holds negative ratings",
        "few rows": "2 processes need batches of 2 rows, got one of 1",
        "sparse": "several processes can share dense batches only",
        "several devices": "a process of torchrun has one device",
        "other world size": "run1.pt belongs to another run: there",
    }
    for report in found:
        for name, message in messages.items():
            assert message in report["errors"][name], name
    assert {name for name in messages if expected["errors"][name]} == {
        "nan",
        "negative",
        "several devices",
    }


def test_only_the_first_process_prints_and_no_thread_outlives_the_group(reports):
    """A thread that holds a tensor when Python ends would abort the process."""
    _, found, printed = reports
    assert [line for line in printed.splitlines() if "printed" in line] == ["printed by process 0"]
    for report in found:
        before, after, has_gloo = report["threads"]
        assert after == before
        assert has_gloo or not before  # without /proc there is nothing to compare
