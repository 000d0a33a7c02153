"""The literal `pytest --nbval` with the root conftest.py, started somewhere else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[2]
SOURCE = 'import os\nprint(os.environ["TQDM_DISABLE"], os.environ["PYTHONHASHSEED"])'


@pytest.fixture
def run(tmp_path):
    """Return a function that checks a chapter of one cell, whose stored output is given."""
    book, elsewhere = tmp_path / "project" / "book", tmp_path / "elsewhere"
    book.mkdir(parents=True)
    elsewhere.mkdir()
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, book.parent)

    def run(stored, *options, source=SOURCE, **variables):
        output = new_output("stream", name="stdout", text=stored)
        nb = new_notebook(cells=[new_code_cell(source, execution_count=1, outputs=[output])])
        nb.metadata.kernelspec = {"name": "somebody-elses", "display_name": "Somebody else's"}
        nbformat.write(nb, book / "x.ipynb")
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, book]
        environment = {**os.environ, **variables}
        return subprocess.run(
            command, cwd=elsewhere, env=environment, capture_output=True, text=True
        )

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


# A chapter on MovieLens-1M, though a wrong one: where it runs, it fails.
ML1M = "# d2l.read_data_ml1m()\nprint(1)"


def test_where_ml1m_is_its_chapter_runs(run, tmp_path):
    (tmp_path / "data" / "ml-1m").mkdir(parents=True)
    (tmp_path / "data" / "ml-1m" / "ratings.dat").touch()
    done = run("2\n", "--nbval", source=ML1M, AUTOREC_D2L_DATA=str(tmp_path / "data"))
    assert "1 failed" in done.stdout


def test_where_ml1m_cannot_be_had_its_chapter_is_skipped_with_the_reason(run, tmp_path):
    nowhere = "http://127.0.0.1:9"  # so that no source answers
    data = {"AUTOREC_D2L_DATA": str(tmp_path / "data"), "HTTPS_PROXY": nowhere}
    done = run("2\n", "--nbval", "-rs", source=ML1M, **data)
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout
    assert "ml-1m could not be had from any source" in done.stdout
    assert "AUTOREC_D2L_DATA" in done.stdout


def test_other_chapters_run_without_ml1m(run, tmp_path):
    data = {"AUTOREC_D2L_DATA": str(tmp_path / "data"), "HTTPS_PROXY": "http://127.0.0.1:9"}
    assert run("1 0\n", "--nbval", **data).returncode == 0
