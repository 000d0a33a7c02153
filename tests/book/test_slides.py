"""The slides: the cells of the lesson, without solutions."""

import runpy
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
slides = runpy.run_path(str(ROOT / "tools" / "make_slides.py"))
BOOK = slides["Book"].read(ROOT / "book")


@pytest.mark.parametrize("name", slides["LESSON"])
def test_a_deck(name):
    chapter = nbformat.read(ROOT / "book" / f"{name}.ipynb", as_version=4)
    cells = list(slides["deck"](chapter.cells, BOOK))
    kinds = [cell.metadata["slideshow"]["slide_type"] for cell in cells]
    text = [cell.source for cell in cells if cell.cell_type == "markdown"]
    headings = [source for source in text if source.startswith(("# ", "## "))]
    assert kinds.count("slide") == len(headings) > 5
    assert kinds[0] == "slide"
    assert kinds.count("notes") > 10
    shown = [cell.source for cell in cells if cell.cell_type == "code"]
    kept = [c["source"] for c in slides["cut"](chapter.cells) if c["cell_type"] == "code"]
    assert shown == kept[1:], "all but the set-up and the solutions"
    assert len(kept) < sum(cell.cell_type == "code" for cell in chapter.cells)
    assert not any(mark in source for source in text for mark in ("{cite}", "```{"))
