"""The form of the chapters: what readers rely on and nbval does not check.

Each check takes a notebook and yields what is wrong with it. It is also tried on a sound notebook
that was damaged on purpose.
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
MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:home|root|Users|tmp|mnt|work|usr|opt|var|private)/\w")
tool = SimpleNamespace(**runpy.run_path(str(ROOT / "tools" / "execute_notebooks.py")))


@functools.cache
def read(path):
    return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)


def code(nb):
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def stored_outputs(nb):
    """Executed once, from top to bottom: nbval does not compare a cell that was never run."""
    counts = [cell.execution_count for cell in code(nb)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}"
    for cell in code(nb):
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                yield f"a stored error or warning of {cell.source!r}"
            if any("widget" in kind for kind in output.get("data", {})):
                yield f"a stored widget of {cell.source!r}"


def machine_paths(nb):
    texts = [cell.source for cell in nb.cells]
    for output in (output for cell in code(nb) for output in cell.outputs):
        texts.append(str(output.get("text", "")))
        texts += [str(data) for kind, data in output.get("data", {}).items() if "image" not in kind]
    for text in texts:
        if found := MACHINE_PATH.search(text):
            yield f"a path of one machine: {text[found.start() :][:80]!r}"
        if found := re.search(r"<.* at 0x[0-9a-f]+>", text):
            yield f"an address in memory, new at every run: {found[0]!r}"


def canonical_form(nb):
    if tool.setup_cell(nb) is None:
        yield "the first code cell is not a set-up cell tagged hide-input"
    if nbformat.writes(nb) != nbformat.writes(tool.canonical(copy.deepcopy(nb))):
        yield "not in canonical form: run tools/execute_notebooks.py"


def figures(nb):
    """`plt.show()` is last, assertions aside: else nbval compares a matplotlib object."""
    for cell in code(nb):
        if not any("image/png" in output.get("data", {}) for output in cell.outputs):
            continue
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if len(alt) < 40:
            yield f"alt text {alt!r} does not say what the figure of {cell.source!r} shows"
        body = [node for node in ast.parse(cell.source).body if not isinstance(node, ast.Assert)]
        if not body or ast.unparse(body[-1]) != "plt.show()":
            yield f"the cell of a figure does not end in plt.show(): {cell.source!r}"


def size(nb):
    """At most 45 cells and 250 lines of code that is not folded, each fitting on the page."""
    for line in "\n".join(cell.source for cell in code(nb)).splitlines():
        if len(line) > tool.COLUMNS:
            yield f"{len(line)} columns: {line!r}"
    cells = [cell for cell in code(nb) if "hide-input" not in cell.metadata.get("tags", [])]
    num_lines = sum(len(cell.source.splitlines()) for cell in cells)
    if len(nb.cells) > 45 or num_lines > 250:
        yield f"{len(nb.cells)} cells (at most 45), {num_lines} open lines of code (at most 250)"


def sections(nb):
    text = "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    if not re.search(r"中文要点.*\n:class:.*\bzh\b", text):
        yield "no 中文要点 box of class zh"
    for heading in ("Summary", "Exercises"):
        if not re.search(rf"^##+ .*\b{heading}\b", text, re.MULTILINE):
            yield f"no heading {heading!r}"
    exercises = re.findall(r"^`+\{exercise\}.*\n:label: (\S+)", text, re.MULTILINE)
    solutions = re.findall(r"^`+\{solution(?:-start)?\} (\S+)", text, re.MULTILINE)
    if not exercises or exercises != solutions:
        yield f"exercises {exercises} and solutions {solutions}"


class WithoutDocstrings(ast.NodeTransformer):
    """Remove docstrings and annotations, which a lesson has in its prose."""

    def remove_docstring(self, node):
        self.generic_visit(node)
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    def visit_FunctionDef(self, node):
        node.returns = None
        return self.remove_docstring(node)

    visit_ClassDef = remove_docstring

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_AnnAssign(self, node):
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], node.value), node)


def definitions(source):
    """Return the syntax trees of the top-level definitions of a source, by name."""
    found = {}
    for node in WithoutDocstrings().visit(ast.parse(source)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
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
        if "@save" not in cell.source:
            continue
        shown = definitions(cell.source)
        if not cell.source.startswith("#@save\n") or not shown:
            yield f"#@save belongs on the first line of a cell of definitions: {cell.source!r}"
        for name, tree in shown.items():
            if tree != library().get(name):
                yield f"{name} differs from the library's"


CHECKS = [stored_outputs, machine_paths, canonical_form, figures, size, sections, saved_definitions]


def test_chapters():
    faults = [
        f"{path.name}: {check.__name__}: {fault}"
        for path in CHAPTERS
        for check in CHECKS
        for fault in check(read(path))
    ]
    assert not faults, "\n".join(faults)


def test_contents():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    names = [toc["root"]] + [page["file"] for part in toc["parts"] for page in part["chapters"]]
    files = [ROOT / (name + suffix) for name in names for suffix in (".md", ".ipynb")]
    found = [file for file in files if file.exists()]
    assert [str(file.relative_to(ROOT).with_suffix("")) for file in found] == names
    assert {file for file in found if file.suffix == ".ipynb"} == set(CHAPTERS)


def test_lessons_show_the_main_definitions():
    cells = [cell.source for path in CHAPTERS for cell in code(read(path))]
    shown = {name for cell in cells if cell.startswith("#@save") for name in definitions(cell)}
    assert shown >= {"MF", "AutoRec", "evaluator_mf", "evaluator"}


@pytest.fixture
def sound():
    """A small notebook that passes every check."""
    alt = {"mystnb": {"image": {"alt": "A line that rises from left to right." * 2}}}
    figure = new_output("display_data", {"image/png": "", "text/plain": "<Figure>"})
    exercise = "```{exercise}\n:label: ex-a\n```\n\n```{solution} ex-a\n```"
    nb = new_notebook(
        cells=[
            new_markdown_cell("# A\n\n```{admonition} 中文要点\n:class: zh\n- 一\n```"),
            new_code_cell(metadata={"tags": ["hide-input"]}),
            new_code_cell("1 + 1", outputs=[new_output("stream", name="stdout", text="2\n")]),
            new_code_cell("plt.plot(x)\nplt.show()", metadata=alt, outputs=[figure]),
            new_markdown_cell("## Summary"),
            new_markdown_cell("## Exercises\n\n" + exercise),
        ]
    )
    for number, cell in enumerate(code(nb), start=1):
        cell.execution_count = number
    return tool.canonical(nb)


DAMAGES = [  # (check, what is changed, its new value), on the sound notebook above
    (stored_outputs, "cells[2].execution_count", None),
    (stored_outputs, "cells[2].outputs[0].name", "stderr"),
    (stored_outputs, "cells[2].outputs", [new_output("error", ename="E", evalue="")]),
    (stored_outputs, "cells[3].outputs[0].data['application/vnd.jupyter.widget-view+json']", {}),
    (machine_paths, "cells[2].outputs[0].text", "saved to /home/reader/data"),
    (machine_paths, "cells[2].outputs[0].text", "<torch._C.Generator object at 0x7f5b54da31b0>"),
    (machine_paths, "cells[2].source", "open('/tmp/x')"),
    (canonical_form, "cells[1].source", "%pip install autorec_d2l"),
    (canonical_form, "cells[1].metadata", {}),
    (canonical_form, "cells[2].metadata.execution", {"iopub.status.busy": "2026"}),
    (canonical_form, "cells[2].source", "x=1"),
    (canonical_form, "metadata.kernelspec.name", "my-env"),
    (canonical_form, "metadata.widgets", {}),
    (figures, "cells[3].metadata.mystnb.image.alt", "a figure"),
    (figures, "cells[3].source", "plt.show()\nplt.plot(x)"),
    (size, "cells[2].source", "x = '" + 80 * "-" + "'"),
    (size, "cells[2].source", "x = 1\n" * 250),
    (size, "cells[4:4]", [new_markdown_cell("More.")] * 40),
    (sections, "cells[0].source", "# A"),
    (sections, "cells[4].source", ""),
    (sections, "cells[5].source", "## Exercises\n\n```{exercise}\n:label: ex-a\n```"),
    (saved_definitions, "cells[2].source", "#@save\nclass MF:\n    pass"),
    (saved_definitions, "cells[2].source", "#@save\ndef no_such_name():\n    return 1"),
    (saved_definitions, "cells[2].source", "# @save\nclass MF:\n    pass"),
]


def test_checks_notice_what_they_are_for(sound):
    for check in CHECKS:
        assert list(check(sound)) == [], check.__name__
    for check, place, value in DAMAGES:
        nb = copy.deepcopy(sound)
        exec(f"nb.{place} = value", {"nb": nb, "value": value})
        assert list(check(nb)), f"{check.__name__} does not notice {place} = {value!r}"
