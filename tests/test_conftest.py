"""The literal `pytest --nbval` with the root conftest.py, started somewhere else."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(tmp_path):
    """Return a function that checks a chapter of one cell, whose stored output is given."""
    book, elsewhere = tmp_path / "project" / "book", tmp_path / "elsewhere"
    book.mkdir(parents=True)
    elsewhere.mkdir()
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, book.parent)
    source = 'import os\nprint(os.environ["TQDM_DISABLE"], os.environ["PYTHONHASHSEED"])'

    def run(stored, *options):
        output = new_output("stream", name="stdout", text=stored)
        nb = new_notebook(cells=[new_code_cell(source, execution_count=1, outputs=[output])])
        nb.metadata.kernelspec = {"name": "somebody-elses", "display_name": "Somebody else's"}
        nbformat.write(nb, book / "x.ipynb")
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, book]
        return subprocess.run(command, cwd=elsewhere, capture_output=True, text=True)

    return run


def test_from_another_directory(run):
    done = run("1 0\n", "--nbval")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_a_changed_output_fails(run):
    done = run("1 1\n", "--nbval")
    assert done.returncode == 1, done.stdout
    assert "1 failed" in done.stdout


def test_without_nbval_pytest_collects_nothing_and_does_not_break(run):
    done = run("1 0\n", "-p", "no:nbval")
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout + done.stderr
