"""The two columns of the translation are two programs; no porting chapter forks its own classes."""

import ast
import os
import re
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
CHAPTER = BOOK / "mxnet_to_pytorch.ipynb"
PORTING = [CHAPTER, BOOK / "porting_traps.ipynb"]
MXNET = "AUTOREC_D2L_MXNET_PYTHON"
TAB = re.compile(r":::\{tab-item\} (\w+)\n:sync: \w+\n\n```python\n(.*?)```\n\n:::", re.DOTALL)
EPOCHS, EXPECTED = 80, 0.6


def cells(path):
    return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4).cells


@pytest.fixture(scope="module")
def columns():
    found = {"MXNet": [], "PyTorch": []}
    for cell in cells(CHAPTER):
        if cell.cell_type == "markdown":
            for framework, code in TAB.findall(cell.source):
                found[framework].append(code)
    return found


@pytest.fixture
def ratings(tmp_path):
    """Two kinds of users and of films: users of a kind agree, and the kinds disagree."""
    random = np.random.RandomState(0)
    liked = np.arange(300)[:, None] % 2 == np.arange(80) % 2
    stars = np.where(liked, 5.0, 1.0).astype("float32")
    rated, held_out = random.rand(300, 80) < 0.5, random.rand(300, 80) < 0.1
    train_inter, test_inter = stars * (rated & ~held_out), stars * held_out
    np.savez(tmp_path / "split.npz", train=train_inter, test=test_inter)
    return train_inter, test_inter


def test_the_columns_have_the_same_seven_pieces(columns):
    assert len(columns["MXNet"]) == len(columns["PyTorch"]) == 7


def test_no_line_is_too_wide_for_a_tablet(columns):
    lines = "".join(map("".join, columns.values())).splitlines()
    assert max(map(len, lines)) <= 60


def test_the_pytorch_column_runs(columns, ratings):
    import torch

    torch.manual_seed(0)
    space = dict(zip(("train_inter", "test_inter"), ratings, strict=True), num_epochs=EPOCHS)
    exec("".join(columns["PyTorch"]), space)
    assert space["rmse"] < EXPECTED


def test_the_mxnet_column_runs(columns, ratings, tmp_path):
    python = os.environ.get(MXNET)
    if not python:
        pytest.skip(f"{MXNET} names no interpreter (benchmarks/mxnet_listing.py tells of it)")
    program = "\n".join(
        [
            "import numpy",
            f"arrays = numpy.load({str(tmp_path / 'split.npz')!r})",
            "train_inter, test_inter = arrays['train'], arrays['test']",
            f"num_epochs = {EPOCHS}",
            *columns["MXNet"],
            "print(rmse)",
        ]
    )
    done = subprocess.run([python, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < EXPECTED


def with_workers(source):
    """Return the calls that start worker processes, as they stand in the source."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        ast.unparse(call)
        for call in calls
        for keyword in call.keywords
        if keyword.arg == "num_workers" and ast.unparse(keyword.value) != "0"
    ]


@pytest.mark.parametrize("path", PORTING, ids=lambda path: path.stem)
def test_no_chapter_starts_workers(path):
    """Started by spawn or forkserver, a worker would not find a class of the notebook."""
    sources = [cell.source for cell in cells(path) if cell.cell_type == "code"]
    assert [call for source in sources for call in with_workers(source)] == []


def test_started_workers_are_noticed():
    assert with_workers("DataLoader(Slow(), 50, num_workers=workers)")
    assert with_workers("DataLoader(Slow(), 50, num_workers=0)") == []


def test_the_eight_traps_are_numbered_in_order():
    prose = "\n".join(cell.source for cell in cells(PORTING[1]))
    numbers = re.findall(r"^## Trap (\d+): ", prose, re.MULTILINE)
    assert [int(number) for number in numbers] == [*range(1, 9)]
