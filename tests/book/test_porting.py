"""Both columns of the translation run, and the chapters on porting are complete."""

import os
import re
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

BOOK = Path(__file__).resolve().parents[2] / "book"
CHAPTER = BOOK / "mxnet_to_pytorch.ipynb"
PORTING = [CHAPTER, BOOK / "porting_traps.ipynb"]
MXNET = "AUTOREC_D2L_MXNET_PYTHON"
TAB = re.compile(r":::\{tab-item\} (\w+)\n:sync: \w+\n\n```python\n(.*?)```\n\n:::", re.DOTALL)
EPOCHS, EXPECTED = 80, 0.6


def sources(path, kind):
    cells = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == kind]


@pytest.fixture(scope="module")
def columns():
    found = {"MXNet": [], "PyTorch": []}
    for source in sources(CHAPTER, "markdown"):
        for framework, code in TAB.findall(source):
            found[framework].append(code)
    return found


@pytest.fixture
def ratings():
    """Two kinds of users and of films: users of a kind agree, and the kinds disagree."""
    random = np.random.RandomState(0)
    liked = np.arange(300)[:, None] % 2 == np.arange(80) % 2
    stars = np.where(liked, 5.0, 1.0).astype("float32")
    rated, held_out = random.rand(300, 80) < 0.5, random.rand(300, 80) < 0.1
    return {"train_inter": stars * (rated & ~held_out), "test_inter": stars * held_out}


def test_the_columns_have_the_same_seven_pieces_and_fit_side_by_side(columns):
    assert len(columns["MXNet"]) == len(columns["PyTorch"]) == 7
    lines = "".join(map("".join, columns.values())).splitlines()
    assert max(map(len, lines)) <= 60


def test_the_pytorch_column_runs(columns, ratings):
    torch.manual_seed(0)
    names = ratings | {"num_epochs": EPOCHS}
    exec("".join(columns["PyTorch"]), names)
    assert names["rmse"] < EXPECTED


def test_the_mxnet_column_runs(columns, ratings, tmp_path):
    python = os.environ.get(MXNET)
    if not python:
        pytest.skip(f"{MXNET} names no interpreter (see benchmarks/mxnet_listing.py)")
    np.savez(tmp_path / "split.npz", **ratings)
    start = [
        "import numpy",
        f"arrays = numpy.load({str(tmp_path / 'split.npz')!r})",
        "train_inter, test_inter = arrays['train_inter'], arrays['test_inter']",
        f"num_epochs = {EPOCHS}",
    ]
    program = "\n".join([*start, *columns["MXNet"], "print(rmse)"])
    done = subprocess.run([python, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < EXPECTED


def test_no_chapter_starts_workers():
    """Started by spawn or forkserver, a worker would not find a class of the notebook."""
    cells = [cell for path in PORTING for cell in sources(path, "code")]
    assert [cell for cell in cells if re.search(r"num_workers=(?!0\b)", cell)] == []


def test_the_eight_traps_are_numbered_in_order():
    prose = "\n".join(sources(PORTING[1], "markdown"))
    numbers = re.findall(r"^## Trap (\d+): ", prose, re.MULTILINE)
    assert [int(number) for number in numbers] == [*range(1, 9)]
