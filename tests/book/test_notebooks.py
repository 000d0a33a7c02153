"""Guards of the chapters: what a reader relies on, and nbval does not look at.

Each guard takes a notebook and returns its complaints. Each is also tried on a notebook that
was broken on purpose, because a guard that cannot fail guards nothing.
"""

import ast
import copy
import functools
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
store = SimpleNamespace(**runpy.run_path(str(ROOT / ".ci" / "store")))

MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:home|root|Users|tmp|mnt|work|usr|opt|var|private)/\w")


def code(nb):
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def outputs(nb):
    return [(cell, output) for cell in code(nb) for output in cell.outputs]


def prose(nb):
    return "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")


def has_figure(cell):
    return any("image/png" in output.get("data", {}) for output in cell.outputs)


def order(nb):
    """Executed once, from top to bottom: nbval does not compare a cell that never ran."""
    counts = [cell.execution_count for cell in code(nb)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}"


def errors(nb):
    for cell, output in outputs(nb):
        if output.output_type == "error":
            yield f"stored {output.ename} of {cell.source!r}"


def stderr(nb):
    for cell, output in outputs(nb):
        if output.get("name") == "stderr":
            yield f"stored stderr of {cell.source!r}: {output.text[:200]!r}"


def machine_paths(nb):
    texts = [cell.source for cell in nb.cells]
    for _, output in outputs(nb):
        texts.append(str(output.get("text", "")))
        texts += [str(data) for kind, data in output.get("data", {}).items() if "image" not in kind]
    for text in texts:
        if found := MACHINE_PATH.search(text):
            yield f"a path of one machine: {text[found.start() :][:80]!r}"
        if found := re.search(r"<.* at 0x[0-9a-f]+>", text):
            yield f"an address in memory, new at every run: {found[0]!r}"


def volatile_metadata(nb):
    if "widgets" in nb.metadata:
        yield "stored widget state"
    for cell, output in outputs(nb):
        if any("widget" in kind for kind in output.get("data", {})):
            yield f"stored widget of {cell.source!r}"
    for cell in code(nb):
        if "execution" in cell.metadata:
            yield f"stored times of {cell.source!r}"


def setup_cell(nb):
    cell = store.setup_cell(nb)
    if cell is None:
        yield "the first code cell is not a set-up cell tagged hide-input"
    elif cell.source != store.setup_source(store.repository(ROOT)):
        yield "the set-up cell is not the one of tools/execute_notebooks.py"


def canonical(nb):
    """Stored by `tools/execute_notebooks.py`: its metadata would not change if it were stored again."""
    if nbformat.writes(nb) != nbformat.writes(store.canonical(copy.deepcopy(nb))):
        yield "not in the form of tools/execute_notebooks.py: run it"


def alt_texts(nb):
    for cell in filter(has_figure, code(nb)):
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if len(alt) < 40:
            yield f"alt text {alt!r} does not tell what the figure of {cell.source!r} shows"


def shown_figures(nb):
    """`plt.show()` comes last, assertions aside: else nbval compares a matplotlib object."""
    for cell in filter(has_figure, code(nb)):
        body = [node for node in ast.parse(cell.source).body if not isinstance(node, ast.Assert)]
        if not body or ast.unparse(body[-1]) != "plt.show()":
            yield f"a figure's cell does not end in plt.show(): {cell.source!r}"


def narrow_lines(nb):
    """No line of code is wider than the page."""
    for cell in code(nb):
        for line in cell.source.splitlines():
            if len(line) > store.COLUMNS:
                yield f"{len(line)} columns: {line!r}"


def size(nb):
    """A chapter can be read in one sitting; what only draws is folded and does not count."""
    cells = [cell for cell in code(nb) if "hide-input" not in cell.metadata.get("tags", [])]
    lines = sum(len(cell.source.splitlines()) for cell in cells)
    if len(nb.cells) > 45:
        yield f"{len(nb.cells)} cells, more than 45"
    if lines > 250:
        yield f"{lines} open lines of code, more than 250"


def anatomy(nb):
    text = prose(nb)
    if not re.search(r"中文要点.*\n:class:.*\bzh\b", text):
        yield "no 中文要点 box of class zh"
    for heading in ("Summary", "Exercises"):
        if not re.search(rf"^##+ .*\b{heading}\b", text, re.MULTILINE):
            yield f"no heading {heading!r}"


class Bare(ast.NodeTransformer):
    """Take docstrings and annotations away: the lesson has them in its prose."""

    def strip_docstring(self, node):
        self.generic_visit(node)
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    def visit_FunctionDef(self, node):
        node.returns = None
        return self.strip_docstring(node)

    visit_ClassDef = strip_docstring

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_AnnAssign(self, node):
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], node.value), node)


def definitions(source):
    """Return the top-level definitions of a source as bare syntax trees, by name."""
    found = {}
    for node in Bare().visit(ast.parse(source)).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = ast.dump(node)
        elif isinstance(node, ast.Assign):
            found[ast.unparse(node.targets[0])] = ast.dump(node)
    return found


@functools.cache
def library():
    found = {}
    for module in (ROOT / "autorec_d2l").rglob("*.py"):
        found |= definitions(module.read_text(encoding="utf-8"))
    return found


def saved_definitions(nb):
    """What a chapter shows in a `#@save` cell is what the library does."""
    for cell in code(nb):
        if "@save" not in cell.source:  # also where a formatter has spread the mark
            continue
        here = definitions(cell.source)
        if not cell.source.startswith("#@save\n") or not here:
            yield f"#@save belongs on the first line of a cell of definitions: {cell.source!r}"
        for name, tree in here.items():
            if tree != library().get(name):
                yield f"{name} differs from the library's"


GUARDS = [
    order,
    errors,
    stderr,
    machine_paths,
    volatile_metadata,
    setup_cell,
    canonical,
    alt_texts,
    shown_figures,
    narrow_lines,
    size,
    anatomy,
    saved_definitions,
]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter(path, guard):
    nb = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    assert list(guard(nb)) == []


def test_contents():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    names = [toc["root"]] + [page["file"] for part in toc["parts"] for page in part["chapters"]]
    files = [ROOT / (name + suffix) for name in names for suffix in (".md", ".ipynb")]
    found = [file for file in files if file.exists()]
    assert [str(file.relative_to(ROOT).with_suffix("")) for file in found] == names
    chapters = {file for file in found if file.suffix == ".ipynb"}
    assert chapters == set(CHAPTERS), "every chapter is in the table of contents"
    assert len(chapters) >= 3


def test_what_the_lessons_introduce_is_what_the_library_does():
    shown = set()
    for path in CHAPTERS:
        for cell in code(nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)):
            if cell.source.startswith("#@save"):
                shown |= set(definitions(cell.source))
    assert shown >= {"MF", "AutoRec", "evaluator_mf", "evaluator"}


# The guards themselves.


def sound():
    """Return a small notebook that every guard passes."""
    nb = new_notebook(
        cells=[
            new_markdown_cell("# A\n\n```{admonition} 中文要点\n:class: zh\n- 一\n```"),
            new_code_cell(metadata={"tags": ["hide-input"]}),
            new_code_cell("1 + 1", outputs=[new_output("stream", name="stdout", text="2\n")]),
            new_code_cell(
                "plt.plot(x)\nplt.show()",
                metadata={
                    "mystnb": {"image": {"alt": "A line that rises from left to right." * 2}}
                },
                outputs=[new_output("display_data", {"image/png": "", "text/plain": "<Figure>"})],
            ),
            new_markdown_cell("## Summary"),
            new_markdown_cell("## Exercises"),
        ]
    )
    for number, cell in enumerate(code(nb), start=1):
        cell.execution_count = number
    return store.canonical(nb)


def never_ran(nb):
    code(nb)[1].execution_count = None


def failed(nb):
    code(nb)[1].outputs = [new_output("error", ename="E", evalue="", traceback=[])]


def warned(nb):
    code(nb)[1].outputs[0].name = "stderr"


def names_a_machine(nb):
    code(nb)[1].outputs[0].text = "saved to /home/reader/data"


def names_a_machine_in_source(nb):
    code(nb)[1].source = "open('/tmp/x')"


def shows_an_address(nb):
    code(nb)[1].outputs[0].text = "<torch._C.Generator object at 0x7f5b54da31b0>"


def keeps_times(nb):
    code(nb)[1].metadata["execution"] = {"iopub.status.busy": "2026"}


def keeps_widgets(nb):
    nb.metadata["widgets"] = {}


def installs_its_own_way(nb):
    code(nb)[0].source = "%pip install autorec_d2l"


def has_no_setup(nb):
    code(nb)[0].metadata.tags = []


def keeps_a_kernel(nb):
    nb.metadata.kernelspec.name = "my-env"


def shows_a_blank(nb):
    code(nb)[2].metadata.mystnb.image.alt = "a figure"


def leaves_text(nb):
    code(nb)[2].source = "plt.show()\nplt.plot(x)"


def writes_wide(nb):
    code(nb)[1].source = "x = " + "1 + " * 20 + "1"


def goes_on(nb):
    nb.cells += [new_markdown_cell("And so on.")] * 40


def shows_all_its_code(nb):
    code(nb)[1].source = "x = 1\n" * 250


def speaks_no_chinese(nb):
    nb.cells[0].source = "# A"


def has_no_summary(nb):
    del nb.cells[-2]


def has_no_exercises(nb):
    del nb.cells[-1]


def drifts(nb):
    code(nb)[1].source = "#@save\nclass MF:\n    pass"


def saves_what_nobody_has(nb):
    code(nb)[1].source = "#@save\ndef no_such_name():\n    return 1"


def spreads_the_mark(nb):
    code(nb)[1].source = "# @save\nclass MF:\n    pass"


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
def test_guard_passes_what_is_sound(guard):
    assert list(guard(sound())) == []


@pytest.mark.parametrize(
    ("guard", "damage"),
    [
        (order, never_ran),
        (errors, failed),
        (stderr, warned),
        (machine_paths, names_a_machine),
        (machine_paths, names_a_machine_in_source),
        (machine_paths, shows_an_address),
        (volatile_metadata, keeps_times),
        (volatile_metadata, keeps_widgets),
        (setup_cell, installs_its_own_way),
        (setup_cell, has_no_setup),
        (canonical, installs_its_own_way),
        (canonical, keeps_a_kernel),
        (alt_texts, shows_a_blank),
        (shown_figures, leaves_text),
        (canonical, writes_wide),
        (narrow_lines, writes_wide),
        (size, goes_on),
        (size, shows_all_its_code),
        (anatomy, speaks_no_chinese),
        (anatomy, has_no_summary),
        (anatomy, has_no_exercises),
        (saved_definitions, drifts),
        (saved_definitions, saves_what_nobody_has),
        (saved_definitions, spreads_the_mark),
    ],
    ids=lambda function: function.__name__,
)
def test_guard_notices(guard, damage):
    nb = sound()
    damage(nb)
    assert list(guard(nb)) != []


@pytest.mark.parametrize(
    ("lesson", "same"),
    [
        ("def f(x):\n    return x", True),
        ("def f(x, y=1):\n    return x", False),
        ("@cache\ndef f(x):\n    return x", False),
        ("class f:\n    pass", False),
    ],
)
def test_definitions_are_compared_as_syntax_trees(lesson, same):
    ours = 'def f(x: int) -> int:\n    """Return it."""\n    # A remark.\n    return (x)'
    assert (definitions(lesson) == definitions(ours)) is same


def test_guards_of_saved_cells_pass_the_library_itself():
    """Every definition of the library, shown as it stands, is no drift."""
    for module in (ROOT / "autorec_d2l").glob("*.py"):
        text = module.read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                nb = new_notebook(cells=[new_code_cell("#@save\n" + ast.unparse(node))])
                assert list(saved_definitions(nb)) == []
