"""The page of run times shows its results file."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
from placeholders import PLACEHOLDERS, run_times  # noqa: E402

FILE = """\
# command: python benchmarks/run_times.py
# machine: a processor, 2 cores
chapter,seconds
mf,12.34
autorec,30.4
"""


def test_the_page_shows_each_chapter_the_sum_and_the_environment():
    text = run_times(FILE)
    assert "| {doc}`mf` | 12 |\n| {doc}`autorec` | 30 |\n| **all 2** | **43** |" in text
    assert "| machine | a processor, 2 cores |" in text


def test_the_results_file_has_every_chapter():
    text = run_times((ROOT / PLACEHOLDERS["RUN TIMES"][0]).read_text(encoding="utf-8"))
    chapters = [chapter.stem for chapter in (ROOT / "book").glob("*.ipynb")]
    assert [name for name in chapters if f"{{doc}}`{name}`" not in text] == []
