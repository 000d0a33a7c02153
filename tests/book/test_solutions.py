"""The book without solutions: no trace of them is left, and everything else is."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import book_frame  # noqa: E402
from without_solutions import cut  # noqa: E402

EXERCISE = "```{exercise}\n:label: ex\n\nHow many?\n```"
START, END = "```{solution-start} ex\n:class: dropdown\n```", "```{solution-end}\n```"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


def notebook():
    figure = new_output("display_data", {"image/png": PIXEL})
    return new_notebook(
        metadata={"language_info": {"name": "python"}},
        cells=[
            new_markdown_cell("# Title"),
            new_code_cell("lesson = 1", metadata={"tags": ["hide-input"]}),
            new_markdown_cell(f"{EXERCISE}\n\n{START}\n\nBecause."),
            new_code_cell("answer = 42", outputs=[figure]),
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
def test_a_start_or_an_end_without_the_other_is_an_error(text):
    with pytest.raises(ValueError, match=r"no counterpart|no end"):
        cut([new_markdown_cell(text)])


def test_every_chapter_keeps_its_exercises_and_loses_its_solutions():
    for path in (ROOT / "book").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        before, after = "\n".join(texts(cells)), "\n".join(texts(cut(cells)))
        assert before.count("{exercise}") == after.count("{exercise}") > 0, path
        assert "solution-" not in after
        solutions = re.findall(r"\{solution-start\}.*?\{solution-end\}", before, re.DOTALL)
        assert len(solutions) == before.count("{exercise}"), f"{path}: one without a solution"
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
extensions = ["myst_nb", "sphinx_exercise", "book_frame", "standalone_notebooks"]
html_theme, root_doc, nb_execution_mode = "sphinx_book_theme", "book/a", "off"
exclude_patterns, suppress_warnings = ["README.md"], ["app"]  # nodes are registered twice
"""
PROJECT = (
    f'[project]\nname = "autorec_d2l"\nversion = "1"\ndescription = "x"\nurls.Repository = "{URL}"'
)


BUILD = """
import shutil, sys
from sphinx.cmd.build import main
source, out, copy = sys.argv[1:]
assert main(["-q", "-W", source, out]) == 0
shutil.copytree(out, copy)
assert main(["-q", "-W", "-D", "hide_solutions=1", source, out]) == 0
"""


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    """Return the folders of the small book with solutions, and without, built over the first."""
    root = tmp_path_factory.mktemp("small")
    source, before, after = root / "source", root / "before", root / "after"
    for folder in ("book", "autorec_d2l"):
        (source / folder).mkdir(parents=True)
    for name in ("README.md", "LICENSE", "book/references.bib", "autorec_d2l/__init__.py"):
        (source / name).touch()
    (source / "conf.py").write_text(CONF, encoding="utf-8")
    (source / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (source / "book" / "a.ipynb").write_text(json.dumps(notebook()), encoding="utf-8")
    (source / "book" / "b.md").write_text("---\norphan: true\n---\n# B", encoding="utf-8")
    command = [sys.executable, "-c", BUILD, source, after, before]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return before, after


def texts_of(html):
    """Return what can be read in the files of a build, by their names."""
    kinds = {".html", ".js", ".ipynb", ".md", ".txt"}
    files = (f for f in html.rglob("*") if f.suffix in kinds and "_static" not in f.parts)
    return {str(f.relative_to(html)): f.read_text(encoding="utf-8") for f in files}


def links(html, page):
    """Return the links of a page to other hosts; those to files must exist."""
    found = set(re.findall(r'href="([^"#]+)', (html / page).read_text(encoding="utf-8")))
    remote = {link for link in found if "//" in link}
    for link in found - remote:
        assert ((html / page).parent / link.partition("?")[0]).exists(), link
    return remote


def test_without_solutions_over_an_older_build(builds):
    with_solutions, without = builds
    before, after = map(texts_of, builds)
    traces = re.compile(r"\b(?:Because|So it is|42)\b")
    found = {name for name, text in before.items() if traces.search(text)}
    assert found >= {"book/a.html", "standalone/a.ipynb", "_sources/book/a.ipynb"}
    assert {name for name, text in after.items() if traces.search(text)} == set()
    assert list((with_solutions / "_images").glob("*.png"))  # drawn by a solution
    assert not list((without / "_images").glob("*.png"))
    exercises = {name for name, text in after.items() if "How many?" in text}
    assert exercises >= {"book/a.html", "standalone/a.ipynb"}


def test_buttons_lead_to_the_repository_unless_it_would_show_the_solutions(builds):
    with_solutions, without = builds
    assert {link for link in links(with_solutions, "book/a.html") if "owner" in link} == BUTTONS
    for page in ("book/a.html", "book/b.html"):
        assert not any("owner" in link for link in links(without, page))


@pytest.mark.parametrize(
    ("urls", "has_buttons"),
    [
        (f'Repository = "{URL}"', True),
        ("", False),
        ('Repository = "https://example.org/a/b"', False),
        ('Repository = "git@github.com:a/b.git"', False),
    ],
)
def test_buttons_need_a_host_that_the_theme_knows(tmp_path, urls, has_buttons):
    text = f"[project]\n[project.urls]\n{urls}"
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    options = {}
    config = SimpleNamespace(html_theme_options=options, html_baseurl="", hide_solutions=False)
    book_frame.link_repository(SimpleNamespace(srcdir=tmp_path), config)
    assert options["repository_url"] == (URL if has_buttons else "")
    assert bool(options["launch_buttons"]) is has_buttons
