"""Standalone notebooks: each chapter as one notebook that runs alone, on Colab or any Jupyter.

Its set-up cell contains the library as a wheel. The build of the book writes the notebooks, so
that they are as new as its pages, and each page links to its own: "Run it yourself".
"""

import base64
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

from book_frame import KERNEL
from flit_core.wheel import make_wheel_in
from messages import catalogue, translate_cell
from plain_markdown import NEW_CELL, SOLUTION, Book, plain
from without_solutions import cut

FOLDER = "standalone"  # in the HTML
# Installed rather than put on sys.path, which the processes of torchrun would not see.
SETUP = '''\
#@title Run this first: it installs the book's library, which is in this cell
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
        # Base64: no line of it can look like a magic command of the notebook.
        wheel.write_bytes(base64.b64decode("""
{data}"""))
        pip = [sys.executable, "-m", "pip", "install", "-qq"]
        exactly = ["--force-reinstall", "--no-deps"]
        # No module named pip? In a terminal: `python -m ensurepip`, or
        # `uv pip install pip` in an environment of uv.
        subprocess.run([*pip, *exactly, wheel], check=True)
        subprocess.run([*pip, wheel], check=True)  # its missing dependencies
    importlib.invalidate_caches()'''


def library_wheel(root: Path) -> tuple[str, bytes]:
    """Return the name and the bytes of the library's wheel, the same for the same sources."""
    year_1980 = {"SOURCE_DATE_EPOCH": "315532800"}  # the first year that a zip file can store
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, year_1980):
        wheel = make_wheel_in(root / "pyproject.toml", Path(folder)).file
        return wheel.name, wheel.read_bytes()


def setup_source(name: str, wheel: bytes) -> str:
    """Return the set-up cell, which installs a wheel unless it or a checkout is installed."""
    data = base64.encodebytes(wheel).decode("ascii")
    return SETUP.format(sha256=hashlib.sha256(wheel).hexdigest(), name=name, data=data)


def standalone(cells: list[dict], setup: str, book: Book) -> dict:
    """Return the standalone notebook of a chapter's cells, in plain Markdown, without outputs.

    Its first code cell, the set-up, becomes `setup`. Code that the book folds is folded here too,
    and so are solutions.
    """
    made, folded, solution = [], [], book.say(SOLUTION)
    for cell in cells:
        if cell["cell_type"] == "markdown":
            texts = plain("".join(cell["source"]), book).split(NEW_CELL)
            for number, text in enumerate(text.strip() for text in texts):
                if not text:
                    continue
                name = f"{cell['id']}-{number}" if len(texts) > 1 else cell["id"]
                made.append(_markdown_cell(name, text, text == solution))
                folded += [name] * (text == solution)
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
    metadata = KERNEL | {"colab": {"collapsed_sections": folded}}
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _markdown_cell(name: str, text: str, is_folded: bool) -> dict:
    """Return a Markdown cell; Colab and JupyterLab fold what follows a folded heading."""
    metadata = {"id": name, "jp-MarkdownHeadingCollapsed": True} if is_folded else {}
    return {"cell_type": "markdown", "id": name, "metadata": metadata, "source": text}


def write(
    root: Path, chapters: Iterable[Path], out: Path, hide=False, book_url="", language="en"
) -> None:
    """Write the standalone notebook of each chapter into the folder `out`, which is emptied."""
    setup, book = setup_source(*library_wheel(root)), Book.read(root / "book", book_url, language)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for chapter in chapters:
        cells = json.loads(chapter.read_text(encoding="utf-8"))["cells"]
        to = catalogue(language, f"book/{chapter.stem}")
        cells = [translate_cell(cell, to) for cell in (cut(cells) if hide else cells)]
        nb = standalone(cells, setup, book)
        text = json.dumps(nb, ensure_ascii=False, indent=1)
        (out / chapter.name).write_text(text + "\n", encoding="utf-8")


def is_chapter(app, docname: str) -> bool:
    """Return whether a page is a notebook."""
    return docname in app.env.found_docs and app.env.doc2path(docname).endswith(".ipynb")


def add_button(app, pagename, templatename, context, doctree):
    """Put "Run it yourself" into the header, and let the download button lead there too."""
    url, _ = None, catalogue(app.config.language, "extensions")
    if is_chapter(app, pagename):
        url = f"{context['pathto'](FOLDER, 1)}/{Path(pagename).name}.ipynb"
        button = {
            "type": "link",
            "url": url,
            "text": _("Run it yourself"),
            "icon": "fas fa-play",
            "tooltip": _(
                "Download this chapter as a notebook that runs alone, in Colab or Jupyter"
            ),
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
    """Write the standalone notebooks beside the pages."""
    if exception is None and app.builder.format == "html":
        chapters = [
            Path(app.env.doc2path(docname))
            for docname in sorted(app.env.found_docs)
            if is_chapter(app, docname)
        ]
        root, out = Path(app.srcdir), Path(app.outdir) / FOLDER
        book_url = app.config.html_baseurl and f"{app.config.html_baseurl.rstrip('/')}/book"
        write(root, chapters, out, app.config.hide_solutions, book_url, app.config.language)


def setup(app):
    """Register the event handlers."""
    app.setup_extension("without_solutions")  # defines `hide_solutions`
    app.connect("html-page-context", add_button, priority=502)  # after the theme's own buttons
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
