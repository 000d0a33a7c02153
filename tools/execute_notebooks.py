#!/usr/bin/env python3
"""Execute chapters with a fresh kernel and store them, with outputs, in canonical form.

    .venv/bin/python tools/execute_notebooks.py [book/mf.ipynb ...]    default: all chapters
    .venv/bin/python tools/execute_notebooks.py --form [...]    only format them, keep the outputs

A new repository URL in pyproject.toml needs only `--form`. A second run changes nothing. The first
chapter that fails ends it, and its file stays as it was.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
from book_frame import KERNEL, project_urls  # noqa: E402

# `%pip` does not stop the notebook when pip fails: the import of the next cell does.
SETUP = """\
from importlib.util import find_spec

if find_spec("autorec_d2l") is None:
    %pip install -q {source}"""
COLUMNS = 80  # fit beside the contents on a page of 1280 pixels


def setup_source(url):
    """Return the set-up cell, which installs from the repository, or else from its clone."""
    return SETUP.format(source=f"git+{url}" if url else "..")


def setup_cell(nb):
    """Return the first code cell if it is the hidden set-up cell, else None."""
    first = next((cell for cell in nb.cells if cell.cell_type == "code"), None)
    return first if first and "hide-input" in first.metadata.get("tags", []) else None


def formatted(nb):
    """Format the code cells with ruff, at most `COLUMNS` wide."""
    command = [Path(sys.executable).with_name("ruff"), "format", "--isolated", "--quiet"]
    command += ["--line-length", str(COLUMNS), "--stdin-filename", "x.ipynb", "-"]
    done = subprocess.run(
        command, input=nbformat.writes(nb), capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        raise ValueError(done.stderr)
    nb = nbformat.reads(done.stdout, as_version=4)
    for cell in nb.cells:
        if cell.source.startswith("# @save\n"):  # as in d2l
            cell.source = cell.source.replace("# @save", "#@save", 1)
    return nb


def canonical(nb):
    """Format a notebook, write its set-up cell and remove what changes from run to run."""
    nb = formatted(nb)
    if cell := setup_cell(nb):
        cell.source = setup_source(project_urls(ROOT).get("Repository"))
    for cell in nb.cells:
        cell.metadata.pop("execution", None)
    nb.metadata = nbformat.from_dict(KERNEL)
    return nb


def execute(nb, folder):
    """Run every cell in its folder, as nbval does."""
    os.environ.update(TQDM_DISABLE="1", PYTHONHASHSEED="0", OMP_NUM_THREADS="1")
    os.environ.pop("MPLBACKEND", None)  # the kernel sets its own
    NotebookClient(
        nb,
        kernel_name="python3",
        timeout=600,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,  # one output, however many messages it came in
        resources={"metadata": {"path": str(folder)}},
    ).execute()


def store(path, is_executed):
    """Execute a chapter or keep its outputs, and replace its file when all is done."""
    nb = canonical(nbformat.read(path, as_version=4))
    if is_executed:
        execute(nb, path.parent)
        nb = canonical(nb)
    new = path.with_suffix(".ipynb.new")
    nbformat.write(nb, new)
    os.replace(new, path)


def main():
    """Store the chapters; the first one that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: book/*.ipynb")
    parser.add_argument("--form", action="store_true", help="format without executing")
    args = parser.parse_args()
    for path in args.notebooks or sorted((ROOT / "book").glob("*.ipynb")):
        start = time.perf_counter()
        print(path.name, end=" ", flush=True)
        store(path, is_executed=not args.form)
        print(f"stored in {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
