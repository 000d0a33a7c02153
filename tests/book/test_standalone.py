"""The lone files: plain Markdown, nothing lost, and a set-up cell that installs what it carries.

`benchmarks/standalone_notebooks.py` runs them in a bare environment; `.ci/run` does so with two.
"""

import ast
import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import requires
from io import BytesIO
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import standalone_notebooks  # noqa: E402
from plain_markdown import CUT, Book, plain  # noqa: E402
from without_solutions import cut  # noqa: E402

CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
MOST_BYTES = 3_000_000
MYST = re.compile(  # a directive, an end of one in colons, an option, a role, a label
    r"^\s*(?:`{3,}|:{3,})\s*\{.*|^\s*:{3,}$|^:[\w-]+:.*|\{[\w:-]+\}`.*|^\([\w-]+\)=$", re.MULTILINE
)


def read(path):
    nb = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    nbformat.validate(nb)
    return nb


def sources(nb, kind):
    return [cell.source for cell in nb.cells if cell.cell_type == kind]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All lone files, as the build of the book writes them."""
    out = tmp_path_factory.mktemp("lone")
    (out / "old.ipynb").touch()
    standalone_notebooks.write(ROOT, CHAPTERS, out)
    assert not (out / "old.ipynb").exists()
    return out


def test_every_chapter_has_one_and_each_is_small(folder):
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert set(sizes) == {path.name for path in CHAPTERS}
    assert max(sizes.values()) < MOST_BYTES


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_no_raw_directive_or_role_is_left(folder, path):
    assert MYST.findall("\n\n".join(sources(read(path), "markdown")))
    assert MYST.findall("\n\n".join(sources(read(folder / path.name), "markdown"))) == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_nothing_else_is_lost(folder, path):
    book, lone = read(path), read(folder / path.name)
    setup, *code = sources(lone, "code")
    assert code == sources(book, "code")[1:]
    assert "b64decode" in setup
    before, after = ("\n\n".join(sources(nb, "markdown")) for nb in (book, lone))
    for mark, plainly in {
        r"^#+ ": r"^#+ (?!Exercise$|Solution$)",
        r"^```\{exercise\}": r"^### Exercise$",
        r"^```\{solution-start\}": r"^### Solution$",
        r"^```(?:python|bash)$": r"^```(?:python|bash)$",
        "中文要点": r"^> \*\*中文要点\*\*$",
    }.items():
        found, kept = (re.findall(p, t, re.M) for p, t in ((mark, before), (plainly, after)))
        assert len(found) == len(kept), mark


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_what_the_book_folds_is_folded(folder, path):
    lone = read(folder / path.name)
    for cell in lone.cells:
        if cell.cell_type == "code":
            is_folded = "hide-input" in cell.metadata.get("tags", [])
            assert (cell.metadata.get("cellView") == "form") is is_folded
            assert bool(cell.metadata.get("jupyter", {}).get("source_hidden")) is is_folded
            assert (cell.outputs, cell.execution_count) == ([], None)
    solutions = [cell.id for cell in lone.cells if cell.source == "### Solution"]
    assert lone.metadata.colab.collapsed_sections == solutions
    # A heading folds what follows, up to the next one: after a solution there has to be one.
    book = "\n\n".join(sources(read(path), "markdown"))
    after = re.split(r"^```\{solution-end\}\n```\s*", book, flags=re.M)[1:]
    assert all(not text or text.startswith(("```{exercise}", "#")) for text in after)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_imports_what_the_library_brings(path):
    names = {"autorec_d2l", "IPython", *sys.stdlib_module_names}
    names |= {re.match(r"[\w-]+", one)[0] for one in requires("autorec_d2l")}
    for source in sources(read(path), "code"):
        source = re.sub(r"^%%writefile.*\n", "", source)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= names
            elif isinstance(node, ast.ImportFrom):
                assert node.module.split(".")[0] in names


@pytest.mark.parametrize("path", CHAPTERS[:2], ids=lambda path: path.stem)
def test_without_solutions(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    nb = standalone_notebooks.lone(cut(cells), "", Book.read(ROOT / "book"))
    assert "### Exercise" in str(nb)
    assert "### Solution" not in str(nb)


# Markdown.

BOOK = Book.read(ROOT / "book")
PUBLISHED = Book.read(ROOT / "book", "https://example.org/book/")
SEDHAIN = "https://doi.org/10.1145/2740908.2742726"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("```{admonition} A *b*\n:class: zh\n- c\n\n- d\n```", "> **A *b***\n>\n> - c\n>\n> - d"),
        ("```{exercise}\n:label: x\n\nHow?\n```\n\nNext.", "### Exercise\n\nHow?\n\nNext."),
        ("A.\n\n```{solution-start} x\n:class: dropdown\n```", f"A.\n\n{CUT}### Solution{CUT}"),
        (
            "::::{tab-set}\n\n:::{tab-item} A\n:sync: a\n\n```python\n{x}\n```\n\n:::\n\n::::",
            "**A**\n\n```python\n{x}\n```",
        ),
        ("As {cite}`sedhain2015autorec` say.", f"As ([Sedhain et al., 2015]({SEDHAIN})) say."),
        ("- {cite:t}`sedhain2015autorec`", f"- [Sedhain et al. (2015)]({SEDHAIN})"),
        ("{cite}`holm1979simple`", "(Holm, 1979)"),
        ("See {doc}`mf`.", "See *Matrix Factorization*."),
        ("See [it](mf.ipynb).", "See it (*Matrix Factorization*)."),
        ("See [it](https://a.org/b.md).", "See [it](https://a.org/b.md)."),
        (
            "```python\n# {cite}`x` [it](mf.ipynb)\n```",
            "```python\n# {cite}`x` [it](mf.ipynb)\n```",
        ),
    ],
)
def test_plain(text, wanted):
    assert plain(text, BOOK) == wanted


def test_links_lead_to_the_published_pages():
    title = "[Matrix Factorization](https://example.org/book/mf.html)"
    assert plain("{doc}`mf`, [it](mf.ipynb)", PUBLISHED) == f"{title}, {title}".replace(
        ", [Matrix Factorization]", ", [it]"
    )


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("```{figure} x.png\n```", ValueError, "{figure} has no plain form"),
        ("{numref}`fig`", ValueError, "{numref} has no plain form"),
        ("{cite}`nobody`", KeyError, "nobody"),
        ("[it](no_such_page.ipynb)", KeyError, "no_such_page"),
    ],
)
def test_what_is_not_known_is_an_error(text, error, message):
    with pytest.raises(error, match=message):
        plain(text, BOOK)


# The set-up cell.


def small_wheel(value, name="autorec_d2l", needs=()):
    """Return a wheel of version 1 with one module that holds a value."""
    needed = "".join(f"Requires-Dist: {need}\n" for need in needs)
    info = f"{name}-1.dist-info"
    files = {
        f"{name}.py": f"VALUE = {value}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{needed}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    data = BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return f"{name}-1-py3-none-any.whl", data.getvalue()


def test_the_setup_cell_installs_exactly_its_wheel(tmp_path):
    """By the real pip, into an environment of its own, without a network."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    (tmp_path / "shelf").mkdir()
    name, data = small_wheel(7, "needed")
    (tmp_path / "shelf" / name).write_bytes(data)

    def value(wheel):
        source = standalone_notebooks.setup_source(*wheel)
        source += "\nimport autorec_d2l, needed\nprint(autorec_d2l.VALUE, needed.VALUE)"
        environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "shelf")}
        command = [python, "-c", source]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout.split()

    first, second = (small_wheel(value, needs=["needed"]) for value in (1, 2))
    assert value(first) == ["1", "7"], "installed at once, with what it needs"
    (module,) = (tmp_path / "venv").rglob("autorec_d2l.py")
    module.write_text("VALUE = 'untouched'", encoding="utf-8")
    assert value(first) == ["untouched", "7"], "the same is not installed again"
    assert value(second) == ["2", "7"], "another build of the same version is"
    (origin,) = (tmp_path / "venv").rglob("direct_url.json")
    editable = '{"url": "file:///repository", "dir_info": {"editable": true}}'
    origin.write_text(editable, encoding="utf-8")
    assert value(first) == ["2", "7"], "a checkout stays what it is"


def test_the_wheel_is_the_library_and_always_the_same(folder):
    name, data = standalone_notebooks.library_wheel(ROOT)
    assert standalone_notebooks.library_wheel(ROOT) == (name, data)
    packed = {file for file in zipfile.ZipFile(BytesIO(data)).namelist() if "dist-info" not in file}
    library = (path for path in (ROOT / "autorec_d2l").rglob("*") if path.is_file())
    there = {path.relative_to(ROOT).as_posix() for path in library if path.suffix != ".pyc"}
    assert packed == there
    setup = sources(read(folder / "mf.ipynb"), "code")[0]
    assert setup == standalone_notebooks.setup_source(name, data)
