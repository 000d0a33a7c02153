"""Label folded code by what is inside: "Show the code of this figure" instead of "... source".

MyST-NB takes the label from a cell's metadata, into which it is written here, before the chapter
is read; the cell that installs the library is left out. The notebooks stay as they are.
"""

import ast
import json

LABELS = {
    "figure": "the code of this figure",
    "table": "the code of this table",
    "set-up": "the set-up",
    "checks": "the checks",
    "code": "the code",
}
CONSTANT = (ast.Constant, ast.Tuple, ast.UnaryOp)


def content(cell: dict) -> str:
    """Return the kind of a code cell, a key of `LABELS`, by its outputs and its statements."""
    shown = [output.get("data", {}) for output in cell["outputs"]]
    if any("image/png" in data or "image/svg+xml" in data for data in shown):
        return "figure"
    if any("<table" in "".join(data.get("text/html", "")) for data in shown):
        return "table"
    source = "".join(cell["source"])
    statements = ast.parse(source).body
    if any(map(_imports, statements)) or all(map(_sets, statements)):
        return "set-up"
    asserting = filter(_asserts, statements)
    lines, asserted = (
        sum(one.end_lineno - one.lineno + 1 for one in some) for some in (statements, asserting)
    )
    return "checks" if 3 * asserted >= lines else "code"


def _imports(statement: ast.stmt) -> bool:
    return isinstance(statement, (ast.Import, ast.ImportFrom))


def _sets(statement: ast.stmt) -> bool:
    """Return whether a statement names a constant, or calls a function `set_...`."""
    if isinstance(statement, ast.Assign):
        return isinstance(statement.value, CONSTANT)
    is_call = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    return is_call and ast.unparse(statement.value.func).split(".")[-1].startswith("set_")


def _asserts(statement: ast.stmt) -> bool:
    """Return whether a statement is an assertion or holds one, as a loop does."""
    return not isinstance(statement, ast.FunctionDef) and any(
        isinstance(one, ast.Assert) for one in ast.walk(statement)
    )


def label(app, docname, source):
    """Write the labels into the metadata of a chapter's folded cells."""
    if not app.env.doc2path(docname).endswith(".ipynb"):
        return
    nb = json.loads(source[0])
    for cell in nb["cells"]:
        if cell["cell_type"] == "code" and "hide-input" in cell["metadata"].get("tags", []):
            if "%pip" in "".join(cell["source"]):
                cell["metadata"]["tags"] = ["remove-cell"]
                continue
            what = LABELS[content(cell)]
            options = {"code_prompt_show": f"Show {what}", "code_prompt_hide": f"Hide {what}"}
            cell["metadata"]["mystnb"] = options | cell["metadata"].get("mystnb", {})
    source[0] = json.dumps(nb)


def setup(app):
    """Register the event handler."""
    app.connect("source-read", label)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
