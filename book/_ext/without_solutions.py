"""Build the book without its solutions, for teachers: `hide_solutions: true` in _config.yml.

sphinx-exercise applies that setting to `{solution}` only. Most solutions of this book contain code
and are cells between `{solution-start}` and `{solution-end}`; those are cut out here, before the
notebook is read, so that they reach neither the pages nor the search index. An older build, which
contains them, is deleted.
"""

import json
import re
import shutil
from pathlib import Path

EDGE = re.compile(r"^```\{solution-(start|end)\}[^`]*(?:```)?", re.MULTILINE)


def cut(cells: list[dict]) -> list[dict]:
    """Return the cells of a notebook without those from a solution's start to its end.

    Raises `ValueError` for a start without an end, or an end without a start.
    """
    kept, inside = [], False
    for cell in cells:
        if cell["cell_type"] != "markdown":
            kept += [] if inside else [cell]
            continue
        texts = []
        for i, text in enumerate(EDGE.split("".join(cell["source"]))):
            if i % 2 == 0:
                texts += [] if inside else [text]
            elif inside == (text == "start"):
                raise ValueError(f"a solution-{text} has no counterpart")
            else:
                inside = not inside
        if text := "".join(texts).strip():
            kept.append({**cell, "source": text})
    if inside:
        raise ValueError("a solution-start has no end")
    return kept


def hide(app, docname, content):
    """Cut the solutions out of a notebook."""
    if app.config.hide_solutions and app.env.doc2path(docname).endswith(".ipynb"):
        nb = json.loads(content[0])
        content[0] = json.dumps({**nb, "cells": cut(nb["cells"])})


def copy_no_sources(app, config):
    """Do not copy the notebooks, which contain the solutions, for download."""
    if config.hide_solutions:
        config.html_copy_source = False


def clear(app):
    """Delete an older build, whose sources, figures and standalone notebooks have solutions."""
    out = Path(app.outdir)
    if app.config.hide_solutions and app.builder.format == "html" and (out / ".buildinfo").exists():
        for path in out.iterdir():
            if path.is_file():
                path.unlink()
            elif path.name != ".doctrees":  # Sphinx's cache, which notices the changed setting
                shutil.rmtree(path)


def setup(app):
    """Register the event handlers."""
    app.setup_extension("sphinx_exercise")
    app.connect("config-inited", copy_no_sources)
    app.connect("builder-inited", clear)
    app.connect("source-read", hide)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
