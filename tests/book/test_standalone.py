"""The notebooks of the book as they are installed and run elsewhere: set-up cells, wheel, Markdown.

`benchmarks/standalone_notebooks.py` runs standalone notebooks; `.ci/run` does so with two.
"""

import ast
import importlib.metadata
import importlib.util
import re
import runpy
import subprocess
import sys
import zipfile
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import InteractiveShell

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import standalone_notebooks  # noqa: E402
from plain_markdown import NEW_CELL, Book, plain  # noqa: E402

execute_notebooks = SimpleNamespace(**runpy.run_path(str(ROOT / "tools" / "execute_notebooks.py")))
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
    """All standalone notebooks, as the build of the book writes them."""
    out = tmp_path_factory.mktemp("standalone")
    (out / "old.ipynb").touch()
    standalone_notebooks.write(ROOT, CHAPTERS, out)
    return out


def test_every_chapter_has_one_and_each_is_small(folder):
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert set(sizes) == {path.name for path in CHAPTERS}
    assert max(sizes.values()) < MOST_BYTES


KEPT = {  # in a chapter: in its standalone notebook
    r"^#+ ": r"^#+ (?!Exercise$|Solution$)",
    r"^```\{exercise\}": r"^### Exercise$",
    r"^```\{solution-start\}": r"^### Solution$",
    r"^```(?:python|bash)$": r"^```(?:python|bash)$",
    "中文要点": r"^> \*\*中文要点\*\*$",
}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_nothing_is_lost_or_left_as_myst(folder, path):
    book, standalone = read(path), read(folder / path.name)
    setup, *code = sources(standalone, "code")
    assert code == sources(book, "code")[1:]
    assert "b64decode" in setup
    before, after = ("\n\n".join(sources(nb, "markdown")) for nb in (book, standalone))
    assert MYST.findall(before)
    assert MYST.findall(after) == []
    for mark, plainly in KEPT.items():
        assert len(re.findall(mark, before, re.M)) == len(re.findall(plainly, after, re.M)), mark
    for cell in standalone.cells:
        if cell.cell_type == "code":
            is_folded = "hide-input" in cell.metadata.get("tags", [])
            assert (cell.metadata.get("cellView") == "form") is is_folded
            assert bool(cell.metadata.get("jupyter", {}).get("source_hidden")) is is_folded
            assert (cell.outputs, cell.execution_count) == ([], None)
    solutions = [cell.id for cell in standalone.cells if cell.source == "### Solution"]
    assert standalone.metadata.colab.collapsed_sections == solutions
    # A heading folds what follows, up to the next one: after a solution there has to be one.
    after = re.split(r"^```\{solution-end\}\n```\s*", before, flags=re.M)[1:]
    assert all(not text or text.startswith(("```{exercise}", "#")) for text in after)


def test_chapters_import_only_the_library_and_its_dependencies():
    names = {"autorec_d2l", "IPython", *sys.stdlib_module_names}
    names |= {re.match(r"[\w-]+", one)[0] for one in importlib.metadata.requires("autorec_d2l")}
    for path in CHAPTERS:
        for source in sources(read(path), "code"):
            source = TransformerManager().transform_cell(re.sub(r"^%%writefile.*\n", "", source))
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Import):
                    assert {alias.name.split(".")[0] for alias in node.names} <= names, path
                elif isinstance(node, ast.ImportFrom):
                    assert node.module.split(".")[0] in names, path


# Markdown.

BOOK = Book.read(ROOT / "book")
SEDHAIN = "https://doi.org/10.1145/2740908.2742726"


def test_plain():
    for text, wanted in [
        ("```{admonition} A *b*\n:class: zh\n- c\n\n- d\n```", "> **A *b***\n>\n> - c\n>\n> - d"),
        ("```{exercise}\n:label: x\n\nHow?\n```\n\nNext.", "### Exercise\n\nHow?\n\nNext."),
        (
            "A.\n\n```{solution-start} x\n:class: dropdown\n```",
            f"A.\n\n{NEW_CELL}### Solution{NEW_CELL}",
        ),
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
    ]:
        assert plain(text, BOOK) == wanted


def test_a_picture_comes_with_its_file_inside():
    text = plain("```{image} _static/favicon.svg\n:alt: A star.\n:width: 9px\n```", BOOK)
    start, data = text.rstrip(")").split("base64,")
    assert start == "![A star.](data:image/svg+xml;"
    assert b64decode(data) == (ROOT / "book" / "_static" / "favicon.svg").read_bytes()


def test_links_lead_to_the_published_pages():
    published = Book.read(ROOT / "book", "https://example.org/book/")
    url = "https://example.org/book/mf.html"
    assert plain("{doc}`mf`, [it](mf.ipynb)", published) == (
        f"[Matrix Factorization]({url}), [it]({url})"
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
def test_what_has_no_plain_form_is_an_error(text, error, message):
    with pytest.raises(error, match=message):
        plain(text, BOOK)


# The wheel and the set-up cells.


def packed(wheel):
    names = zipfile.ZipFile(BytesIO(wheel)).namelist()
    return {name for name in names if "dist-info" not in name}


def test_the_wheel_is_the_library_and_always_the_same(folder):
    name, wheel = standalone_notebooks.library_wheel(ROOT)
    assert standalone_notebooks.library_wheel(ROOT) == (name, wheel)
    library = (path for path in (ROOT / "autorec_d2l").rglob("*") if path.is_file())
    files = {path.relative_to(ROOT).as_posix() for path in library if path.suffix != ".pyc"}
    assert packed(wheel) == files
    assert {Path(name).suffix for name in files} >= {".py", ".typed", ".csv", ".npz", ".js", ".css"}
    setup = sources(read(folder / "mf.ipynb"), "code")[0]
    assert setup == standalone_notebooks.setup_source(name, wheel)


@pytest.mark.parametrize(
    ("url", "is_installed", "asked"),
    [
        (None, False, ["install -q .."]),
        ("https://example.org/a/b", False, ["install -q git+https://example.org/a/b"]),
        (None, True, []),
    ],
)
def test_a_chapter_installs_the_library_where_it_is_missing(monkeypatch, url, is_installed, asked):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: find_spec(name) if is_installed else None
    )
    shell, arguments = InteractiveShell(), []
    shell.register_magic_function(arguments.append, magic_name="pip")
    shell.run_cell(execute_notebooks.setup_source(url)).raise_error()
    assert arguments == asked


WHEEL = ("autorec_d2l-1-py3-none-any.whl", b"a wheel")
SETUP = standalone_notebooks.setup_source(*WHEEL)


def run_setup(monkeypatch, origin):
    """Run the set-up cell of a standalone notebook; return pip's arguments and the wheels it got.

    ``origin`` is the record of the installation that pip leaves, None where there is none.
    """
    calls = []

    def distribution(name):
        if origin is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return SimpleNamespace(read_text={"direct_url.json": origin}.get)

    def run(command, check):
        calls.append((command[1:-1], command[-1].name, command[-1].read_bytes()))

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    monkeypatch.setattr(subprocess, "run", run)
    exec(SETUP, {})
    return calls


@pytest.mark.parametrize(
    ("origin", "is_installed"),
    [
        (None, False),
        ('{"archive_info": {"hash": "sha256=0123"}}', False),  # another build
        (f'{{"archive_info": {{"hash": "sha256={re.search("[0-9a-f]{64}", SETUP)[0]}"}}}}', True),
        ('{"url": "file:///clone", "dir_info": {"editable": true}}', True),
    ],
)
def test_a_standalone_notebook_installs_its_wheel_unless_it_is_there(
    monkeypatch, origin, is_installed
):
    pip = ["-m", "pip", "install", "-qq"]
    calls = [([*pip, "--force-reinstall", "--no-deps"], *WHEEL), (pip, *WHEEL)]
    assert run_setup(monkeypatch, origin) == ([] if is_installed else calls)
