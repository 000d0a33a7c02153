"""The book without solutions: no trace of them is left, and everything else is."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[2]
cut = runpy.run_path(str(ROOT / "book" / "_ext" / "without_solutions.py"))["cut"]
EXERCISE = "```{exercise}\n:label: ex\n\nHow many?\n```"
START, END = "```{solution-start} ex\n:class: dropdown\n```", "```{solution-end}\n```"

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


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


# The pages, in a small book with the extensions and the theme of the large one.

URL = "https://github.com/owner/name"
BUTTONS = {
    "https://colab.research.google.com/github/owner/name/blob/main/book/a.ipynb",
    "https://mybinder.org/v2/gh/owner/name/main?urlpath=lab/tree/book/a.ipynb",
    f"{URL}/edit/main/book/a.ipynb",
    URL,
}
CONF = f"""import sys
sys.path.insert(0, {str(ROOT / "book" / "_ext")!r})
extensions = ["myst_nb", "sphinx_exercise", "book_frame", "without_solutions", "standalone_notebooks"]
html_theme, root_doc, nb_execution_mode = "sphinx_book_theme", "book/a", "off"
"""


@pytest.fixture
def build(tmp_path):
    """Return a function that builds the small book anew, over what is there; it gives the HTML."""
    source, out = tmp_path / "source", tmp_path / "out"
    for folder in ("book", "autorec_d2l"):
        (source / folder).mkdir(parents=True)
    (source / "autorec_d2l" / "__init__.py").touch()
    (source / "setup.py").write_text("import setuptools\n\nsetuptools.setup()\n", encoding="utf-8")
    for name in ("README.md", "LICENSE", "book/references.bib"):
        (source / name).touch()
    chapter = notebook()
    chapter.cells[1].metadata.tags = ["hide-input"]
    chapter.cells[3].outputs = [new_output("display_data", {"image/png": PIXEL})]
    (source / "book" / "a.ipynb").write_text(json.dumps(chapter), encoding="utf-8")
    (source / "book" / "b.md").write_text("---\norphan: true\n---\n# B", encoding="utf-8")

    def build(hide, url=None):
        project = '[project]\nname = "autorec_d2l"\nversion = "1"\n'
        project += f'urls.Repository = "{url}"\n' if url else ""
        (source / "pyproject.toml").write_text(project, encoding="utf-8")
        conf = f"{CONF}hide_solutions, exclude_patterns = {hide}, ['README.md']\n"
        (source / "conf.py").write_text(conf, encoding="utf-8")
        # A process of its own: Sphinx registers its nodes once a process.
        command = [sys.executable, "-m", "sphinx", "-q", "-W", str(source), str(out)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return out

    return build


def texts_of(html):
    """Return what can be read in the files of a build, by their names."""
    kinds = {".html", ".js", ".ipynb", ".md", ".txt"}
    files = (f for f in html.rglob("*") if f.suffix in kinds and "_static" not in f.parts)
    return {str(f.relative_to(html)): f.read_text(encoding="utf-8") for f in files}


def links(html, page):
    return set(re.findall(r'href="([^"#]+)', (html / page).read_text(encoding="utf-8")))


def test_without_solutions_over_an_older_build(build):
    html = build(hide=False, url=URL)
    assert list((html / "_images").glob("*.png"))  # drawn by a solution
    before = texts_of(html)
    html = build(hide=True, url=URL)
    after = texts_of(html)
    traces = re.compile(r"\b(?:Because|So it is|42)\b")
    with_solutions = {name for name, text in before.items() if traces.search(text)}
    assert with_solutions >= {"book/a.html", "lone/a.ipynb", "_sources/book/a.ipynb"}
    assert list((html / "_images").glob("*.png")) == []
    assert {name for name, text in after.items() if traces.search(text)} == set()
    assert {name for name, text in after.items() if "How many?" in text} >= {
        "book/a.html",
        "lone/a.ipynb",
    }
    for page in ("book/a.html", "book/b.html"):
        remote = {link for link in links(html, page) if "//" in link}
        assert not any("owner" in link for link in remote)
        for link in links(html, page) - remote:
            assert ((html / page).parent / link.partition("?")[0]).exists(), link


def test_buttons(build):
    """With an address they are there, without one they are not; a lone file is always there."""
    for url, buttons in ((URL, BUTTONS), (None, set()), ("https://example.org/a/b", set())):
        html = build(hide=False, url=url)
        there = links(html, "book/a.html")
        assert {link for link in there if re.search("owner|colab|binder", link)} == buttons
        assert "../lone/a.ipynb" in there
        assert "../_sources/book/b.md" in links(html, "book/b.html")
        for link in there:
            assert "//" in link or (html / "book" / link.partition("?")[0]).exists(), link
