"""Build the book without its solutions, for teachers: `hide_solutions: true` in _config.yml.

sphinx-exercise obeys that setting for `{solution}` alone. Most solutions of this book hold code and
stand in cells of their own between `{solution-start}` and `{solution-end}`; those are cut out here,
before the notebook is read, so that nothing of them is left in the pages or their search index.
Of an older build, which has them, nothing is left either.
"""

import json
import shutil
from pathlib import Path

START, END = "```{solution-start}", "```{solution-end}"


def cut(cells: list[dict]) -> list[dict]:
    """Return the cells of a notebook without what lies from a start to its end.

    Raises `ValueError` for a start or an end that is alone.
    """
    kept, inside = [], False
    for cell in cells:
        if cell["cell_type"] != "markdown":
            if not inside:
                kept.append(cell)
            continue
        lines, is_fence_of_end = [], False
        for line in "".join(cell["source"]).split("\n"):
            if line.startswith((START, END)) and line.startswith(START) == inside:
                raise ValueError(f"{line} stands alone")
            if line.startswith(START):
                inside = True
            elif line.startswith(END):
                inside, is_fence_of_end = False, True
            elif is_fence_of_end:
                is_fence_of_end = False  # the line that closes the directive
            elif not inside:
                lines.append(line)
        if text := "\n".join(lines).strip():
            kept.append({**cell, "source": text})
    if inside:
        raise ValueError(f"a {START} has no end")
    return kept


def hide(app, docname, content):
    """Cut the solutions out of a notebook if the book is built without them."""
    if app.config.hide_solutions and app.env.doc2path(docname).endswith(".ipynb"):
        nb = json.loads(content[0])
        content[0] = json.dumps({**nb, "cells": cut(nb["cells"])})


def copy_no_sources(app, config):
    """Do not offer the notebooks, which hold the solutions, for download."""
    if config.hide_solutions:
        config.html_copy_source = False


def clear(app):
    """Take away an older build, whose sources, figures and lone files hold solutions."""
    out = Path(app.outdir)
    if app.config.hide_solutions and app.builder.format == "html" and (out / ".buildinfo").exists():
        for path in out.iterdir():
            if path.is_file():
                path.unlink()
            elif path.name != ".doctrees":  # Sphinx's own notes, renewed where the setting changed
                shutil.rmtree(path)


def setup(app):
    """Connect the parts."""
    app.setup_extension("sphinx_exercise")
    app.connect("config-inited", copy_no_sources)
    app.connect("builder-inited", clear)
    app.connect("source-read", hide)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
