"""Lone files: each chapter as one notebook that runs alone, on Colab or any Jupyter.

The library travels in the set-up cell as a wheel. The build of the book makes the files, so that
they are never older than its pages, and each page links its own: "Run it yourself".
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from plain_markdown import CUT, SOLUTION, Book, plain
from without_solutions import cut

FOLDER = "lone"  # in the HTML
# Installed, not put on sys.path, which the processes of torchrun would not see.
SETUP = '''\
#@title Run this first: it installs the book's library, which it brings along
import base64
import importlib
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

SHA256 = "{sha256}"
try:
    origin = distribution("autorec_d2l").read_text("direct_url.json") or ""
except PackageNotFoundError:
    origin = ""
if SHA256 not in origin and "editable" not in origin:
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder, "{name}")
        # Base64, of which no line can look like a command of the notebook.
        wheel.write_bytes(base64.b64decode("""
{data}"""))
        pip = [sys.executable, "-m", "pip", "install", "-qq"]
        exactly = ["--force-reinstall", "--no-deps"]
        subprocess.run([*pip, *exactly, wheel], check=True)
        subprocess.run([*pip, wheel], check=True)  # what it needs and is missing
    importlib.invalidate_caches()'''


def library_wheel(root: Path) -> tuple[str, bytes]:
    """Return the name and the bytes of the library's wheel, the same for the same sources.

    Raises ``RuntimeError`` with pip's own words if it cannot be built.
    """
    with tempfile.TemporaryDirectory() as scratch:
        tree, out = Path(scratch, "tree"), Path(scratch, "out")
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / "autorec_d2l", tree / "autorec_d2l", ignore=ignore)
        # pip builds beside the sources
        for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
            shutil.copy(root / name, tree)
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
        done = subprocess.run(
            [*command, "--disable-pip-version-check", "-w", out, tree],
            env={**os.environ, "SOURCE_DATE_EPOCH": "315532800"},  # 1980, when zip's time begins
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"the library's wheel could not be built:\n{done.stderr}")
        (wheel,) = out.iterdir()
        return wheel.name, wheel.read_bytes()


def setup_source(name: str, wheel: bytes) -> str:
    """Return the set-up cell that installs a wheel unless the same is there, or a checkout."""
    data = base64.encodebytes(wheel).decode("ascii")
    return SETUP.format(sha256=hashlib.sha256(wheel).hexdigest(), name=name, data=data)


def lone(cells: list[dict], setup: str, book: Book) -> dict:
    """Return the notebook that runs alone, from the cells of a chapter: plain, and without outputs.

    The first code cell, which is the set-up, becomes `setup`. Code that the book folds is folded
    here too, and so are solutions.
    """
    made, folded = [], []
    for cell in cells:
        if cell["cell_type"] == "markdown":
            texts = plain("".join(cell["source"]), book).split(CUT)
            for number, text in enumerate(text.strip() for text in texts):
                if not text:
                    continue
                name = f"{cell['id']}-{number}" if len(texts) > 1 else cell["id"]
                made.append(_markdown_cell(name, text))
                folded += [name] * (text == SOLUTION)
            continue
        tags = cell["metadata"].get("tags", [])
        is_first = all(one["cell_type"] != "code" for one in made)
        metadata = {"cellView": "form", "jupyter": {"source_hidden": True}, "tags": tags}
        made.append(
            {
                "cell_type": "code",
                "id": cell["id"],
                "metadata": metadata if "hide-input" in tags else {},
                "source": setup if is_first else "".join(cell["source"]),
                "execution_count": None,
                "outputs": [],
            }
        )
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "colab": {"collapsed_sections": folded},
    }
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _markdown_cell(name: str, text: str) -> dict:
    """Return a Markdown cell; Colab and JupyterLab fold what follows the heading of a solution."""
    folds = {"id": name, "jp-MarkdownHeadingCollapsed": True} if text == SOLUTION else {}
    return {"cell_type": "markdown", "id": name, "metadata": folds, "source": text}


def write(root: Path, chapters: Iterable[Path], out: Path, hide=False, address="") -> None:
    """Write the lone file of each chapter into the folder `out`, and take away all others."""
    setup, book = setup_source(*library_wheel(root)), Book.read(root / "book", address)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for chapter in chapters:
        cells = json.loads(chapter.read_text(encoding="utf-8"))["cells"]
        nb = lone(cut(cells) if hide else cells, setup, book)
        text = json.dumps(nb, ensure_ascii=False, indent=1)
        (out / chapter.name).write_text(text + "\n", encoding="utf-8")


def is_chapter(app, docname: str) -> bool:
    """Say whether a page has a lone file."""
    return docname in app.env.found_docs and app.env.doc2path(docname).endswith(".ipynb")


def offer(app, pagename, templatename, context, doctree):
    """Put "Run it yourself" into the header, and offer the lone file where a page is downloaded."""
    url = None
    if is_chapter(app, pagename):
        url = f"{context['pathto'](FOLDER, 1)}/{Path(pagename).name}.ipynb"
        button = {
            "type": "link",
            "url": url,
            "text": "Run it yourself",
            "icon": "fas fa-play",
            "tooltip": "Download this chapter as one notebook that runs alone, in Colab or Jupyter",
            "label": "run-button",
        }
        context["header_buttons"].insert(0, button)
    for group in context["header_buttons"]:
        for button in group.get("buttons", []):
            if button.get("label") == "download-source-button":
                if url:
                    button["url"] = url
                elif not app.config.html_copy_source:  # would be a dead link
                    group["buttons"].remove(button)
                    break


def finish(app, exception):
    """Write the lone files beside the pages."""
    if exception is None and app.builder.format == "html":
        chapters = [
            Path(app.env.doc2path(docname))
            for docname in sorted(app.env.found_docs)
            if is_chapter(app, docname)
        ]
        root, out = Path(app.srcdir), Path(app.outdir) / FOLDER
        address = app.config.html_baseurl and f"{app.config.html_baseurl.rstrip('/')}/book"
        write(root, chapters, out, app.config.hide_solutions, address)


def setup(app):
    """Connect the parts."""
    app.setup_extension("without_solutions")  # which knows `hide_solutions`
    app.connect("html-page-context", offer, priority=502)  # after the theme's own buttons
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
