"""The command `pytest --nbval` with the root conftest.py, started in another folder."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from autorec_d2l.data import download

ROOT = Path(__file__).resolve().parents[2]
SOURCE = 'import os\nprint(os.environ["TQDM_DISABLE"], os.environ["PYTHONHASHSEED"])'


@pytest.fixture
def project(tmp_path):
    """A project of one chapter with two cells: a stored output is right, the other one wrong."""
    book = tmp_path / "project" / "book"
    book.mkdir(parents=True)
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, book.parent)
    outputs = [new_output("stream", name="stdout", text=stored) for stored in ("1 0\n", "1 1\n")]
    nb = new_notebook(
        cells=[new_code_cell(SOURCE, execution_count=1, outputs=[output]) for output in outputs]
    )
    nb.metadata.kernelspec = {"name": "another", "display_name": "Of another machine"}
    nbformat.write(nb, book / "chapter.ipynb")
    return book.parent


def run(project, *options):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, project / "book"]
    return subprocess.run(command, cwd=project.parent, capture_output=True, text=True)


def test_a_changed_output_fails_from_any_folder(project):
    done = run(project, "--nbval", "-rA")
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert "PASSED project/book/chapter.ipynb::Cell 0" in done.stdout


def test_without_nbval_pytest_collects_nothing_and_does_not_break(project):
    done = run(project, "-p", "no:nbval")
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout + done.stderr


@pytest.mark.parametrize("is_missing", [True, False])
def test_chapters_on_ml1m_are_skipped_with_the_reason_where_it_is_missing(
    monkeypatch, tmp_path, is_missing
):
    def fetch(name):
        if is_missing:
            raise download.DataUnavailableError(f"no source\nhas {name}")

    monkeypatch.setattr(download, "fetch", fetch)
    items = []
    for name, source in (("a", "d2l.read_data_ml1m()"), ("b", "d2l.read_data_ml100k()")):
        path = tmp_path / f"{name}.ipynb"
        path.write_text(source, encoding="utf-8")
        marks = []
        items.append(SimpleNamespace(path=path, marks=marks, add_marker=marks.append))
    runpy.run_path(str(ROOT / "conftest.py"))["pytest_collection_modifyitems"](items)
    reasons = [[mark.kwargs["reason"] for mark in item.marks] for item in items]
    assert reasons == [["no source has ml-1m"] if is_missing else [], []]
