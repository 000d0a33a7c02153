"""Label folded code by what is inside: "Show the code of this figure" instead of "... source".

MyST-NB takes the label from a cell's metadata, into which it is written here, before the chapter
is read; the cell that installs the library is left out. The notebooks stay as they are.
"""

import json
import re


def content(cell: dict) -> str:
    """Return what is inside a code cell, by its outputs and its source."""
    shown = [output.get("data", {}) for output in cell["outputs"]]
    if any("image/png" in data or "image/svg+xml" in data for data in shown):
        return "the code of this figure"
    if any("<table" in "".join(data.get("text/html", "")) for data in shown):
        return "the code of this table"
    source = "".join(cell["source"])
    if re.search(r"^(?:import|from) ", source, re.MULTILINE):
        return "the set-up"
    return "the checks" if re.search(r"^\s*assert ", source, re.MULTILINE) else "the code"


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
            what = content(cell)
            options = {"code_prompt_show": f"Show {what}", "code_prompt_hide": f"Hide {what}"}
            cell["metadata"]["mystnb"] = options | cell["metadata"].get("mystnb", {})
    source[0] = json.dumps(nb)


def setup(app):
    """Register the event handler."""
    app.connect("source-read", label)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
