"""The book without solutions: no trace of them is left, and everything else is."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[1]
cut = runpy.run_path(str(ROOT / "book" / "_ext" / "without_solutions.py"))["cut"]
EXERCISE = "```{exercise}\n:label: ex\n\nHow many?\n```"
START, END = "```{solution-start} ex\n:class: dropdown\n```", "```{solution-end}\n```"


def notebook():
    return new_notebook(
        metadata={"language_info": {"name": "python"}},
        cells=[
            new_markdown_cell("# Title"),
            new_code_cell("lesson = 1"),
            new_markdown_cell(f"{EXERCISE}\n\n{START}\n\nBecause."),
            new_code_cell("answer = 42"),
            new_markdown_cell(f"So it is.\n\n{END}\n\n## Last"),
            new_code_cell("last = 1"),
        ],
    )


def texts(cells):
    return ["".join(cell["source"]) for cell in cells]


def test_what_lies_between_is_cut():
    kept = texts(cut(notebook().cells))
    assert kept == ["# Title", "lesson = 1", EXERCISE, "## Last", "last = 1"]


@pytest.mark.parametrize("text", [START, END, f"{START}\n{START}", f"{START}\n{END}\n{END}"])
def test_a_start_or_an_end_alone_is_an_error(text):
    with pytest.raises(ValueError, match=r"alone|no end"):
        cut([new_markdown_cell(text)])


@pytest.mark.parametrize("path", sorted((ROOT / "book").glob("*.ipynb")), ids=lambda p: p.stem)
def test_every_chapter_keeps_its_exercises_and_loses_its_solutions(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    kept = cut(cells)
    before, after = "\n".join(texts(cells)), "\n".join(texts(kept))
    assert before.count("{exercise}") == after.count("{exercise}") > 0
    assert "solution-" not in after
    solutions = re.findall(r"\{solution-start\}.*?\{solution-end\}", before, re.DOTALL)
    assert len(solutions) == before.count("{exercise}"), "every exercise has a solution that runs"
    longest = max((line for s in solutions for line in s.splitlines()), key=len)
    assert longest not in after


@pytest.mark.parametrize("hide", [False, True])
def test_pages(tmp_path, hide):
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "index.ipynb").write_text(json.dumps(notebook()), encoding="utf-8")
    conf = (
        f"import sys\nsys.path.insert(0, {str(ROOT / 'book' / '_ext')!r})\n"
        "extensions = ['myst_nb', 'sphinx_exercise', 'without_solutions']\n"
        f"nb_execution_mode, hide_solutions = 'off', {hide}\n"
    )
    (source / "conf.py").write_text(conf, encoding="utf-8")
    # A process of its own: Sphinx registers its nodes once a process.
    command = [sys.executable, "-m", "sphinx", "-q", "-W", str(source), str(out)]
    subprocess.run(command, check=True)
    written = [
        f.read_text(encoding="utf-8") for f in out.rglob("*") if f.suffix in (".html", ".js")
    ]
    written += [f.read_text(encoding="utf-8") for f in (out / "_sources").rglob("*.ipynb*")]
    assert any("How many?" in text for text in written)
    for trace in ("Because", "So it is", "42"):
        shown = any(re.search(rf"\b{trace}\b", text) for text in written if "How many?" in text)
        assert shown is not hide
