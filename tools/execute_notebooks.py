#!/usr/bin/env python3
"""Execute chapters with a fresh kernel and store their outputs in the one canonical form.

    .venv/bin/python tools/execute_notebooks.py [book/mf.ipynb ...]    all chapters unless some are named
    .venv/bin/python tools/execute_notebooks.py --check                execute nothing, say what is not canonical
    .venv/bin/python tools/execute_notebooks.py --form                 execute nothing, make it canonical

A new address in pyproject.toml needs no more than `--form`: the outputs stay.
A second run changes nothing. A chapter that fails keeps the file that it has.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
from address import addressed, repository  # noqa: E402

SETUP = """\
# Install the helper library where it is missing, as on Colab.
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("autorec_d2l") is None:
    {source}
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", source], check=True
    )
    importlib.invalidate_caches()"""
KNOWN = """\
source = os.environ.get(
        "AUTOREC_D2L_SOURCE",
        "git+{url}",
    )"""
UNKNOWN = """\
source = os.environ.get("AUTOREC_D2L_SOURCE")
    if not source:
        raise ModuleNotFoundError(
            "autorec_d2l is missing. In a copy of the repository run this line "
            "in a cell of its own, then this cell again:\\n\\n"
            "%pip install ..\\n\\n"
            "Elsewhere use the file behind 'Run it yourself' on the chapter's "
            "page in the HTML book. It brings the library along."
        )"""
FRONT_DOORS = ("README.md", "CITATION.cff")
COLUMNS = 80  # what fits beside the contents on a page of 1280 pixels


def setup_source(url):
    """Return the set-up cell; with a repository to install from where the project has one."""
    return SETUP.format(source=KNOWN.format(url=url) if url else UNKNOWN)


def setup_cell(nb):
    """Return the first code cell if it is the hidden set-up cell, else None."""
    first = next((cell for cell in nb.cells if cell.cell_type == "code"), None)
    return first if first and "hide-input" in first.metadata.get("tags", []) else None


def formatted(nb):
    """Lay out the code of every cell in the style of the project, at most `COLUMNS` wide."""
    command = [Path(sys.executable).with_name("ruff"), "format", "--isolated", "--quiet"]
    command += ["--line-length", str(COLUMNS), "--stdin-filename", "x.ipynb", "-"]
    done = subprocess.run(
        command, input=nbformat.writes(nb), capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        raise ValueError(done.stderr)
    nb = nbformat.reads(done.stdout, as_version=4)
    for cell in nb.cells:
        if cell.source.startswith("# @save\n"):  # d2l's mark has no blank
            cell.source = cell.source.replace("# @save", "#@save", 1)
    return nb


def canonical(nb):
    """Give a notebook its set-up cell and its layout; take away what changes from run to run."""
    nb = formatted(nb)
    if cell := setup_cell(nb):
        cell.source = setup_source(repository(ROOT))
    for cell in nb.cells:
        cell.metadata.pop("execution", None)
    nb.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return nb


def execute(nb, folder):
    """Run every cell in its folder, as nbval does."""
    os.environ.update(TQDM_DISABLE="1", PYTHONHASHSEED="0", OMP_NUM_THREADS="1")
    os.environ.pop("MPLBACKEND", None)  # the kernel's own draws into the notebook
    NotebookClient(
        nb,
        kernel_name="python3",
        timeout=600,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,  # two prints are one output, whenever they arrive
        resources={"metadata": {"path": str(folder)}},
    ).execute()


def store(path):
    """Execute one chapter; replace its file only after the last cell."""
    nb = canonical(nbformat.read(path, as_version=4))
    execute(nb, path.parent)
    new = path.with_suffix(".ipynb.new")
    nbformat.write(canonical(nb), new)
    os.replace(new, path)


def in_form(path):
    """Return the text of a chapter, or of a front door, in its canonical form; outputs stay."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return addressed(text, repository(ROOT))
    return nbformat.writes(canonical(nbformat.reads(text, as_version=4))).rstrip() + "\n"


def look_at_the_form(paths, write):
    """Say which files are not canonical, or make them so; return how many still are not."""
    failures = 0
    for path in paths:
        if (text := in_form(path)) == path.read_text(encoding="utf-8"):
            continue
        if write:
            path.write_text(text, encoding="utf-8")
        failures += not write
        print(
            f"{path.name}: {'written' if write else 'not canonical, run tools/execute_notebooks.py --form'}"
        )
    return failures


def main():
    """Store, check or form, file by file; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: book/*.ipynb")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="execute nothing, compare the form")
    how.add_argument("--form", action="store_true", help="execute nothing, write the form")
    args = parser.parse_args()
    paths = args.notebooks or sorted((ROOT / "book").glob("*.ipynb"))
    if args.check or args.form:
        doors = [] if args.notebooks else [ROOT / name for name in FRONT_DOORS]
        return min(look_at_the_form([*paths, *doors], write=args.form), 1)
    failures = 0
    for path in paths:
        start = time.perf_counter()
        try:
            store(path)
            print(f"{path.name}: stored in {time.perf_counter() - start:.1f} s", flush=True)
        except CellExecutionError as error:
            print(f"{path.name}: FAILED, the file stays as it was\n{error}", flush=True)
            failures += 1
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
