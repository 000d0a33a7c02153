"""Show the stored HTML output of a chapter's cell on another page, so that it cannot go stale.

    ```{stored-output} recommend.ipynb live-recommender
    ```

The first argument is a chapter beside the page, the second a tag of the cell.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class StoredOutput(SphinxDirective):
    """Copy a cell's `text/html`; an unknown chapter or tag ends the build."""

    required_arguments = 2

    def run(self):
        """Return the output as it is; the page is built again when the chapter changes."""
        chapter, tag = self.arguments
        path = Path(self.env.doc2path(self.env.docname)).with_name(chapter)
        self.env.note_dependency(str(path))
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found = [
            "".join(output["data"]["text/html"])
            for cell in cells
            if tag in cell["metadata"].get("tags", [])
            for output in cell["outputs"]
            if "text/html" in output.get("data", {})
        ]
        if len(found) != 1:
            raise self.error(f"{chapter} has {len(found)} HTML outputs of cells tagged {tag}")
        return [nodes.raw("", found[0], format="html")]


def setup(app):
    """Connect the directive."""
    app.add_directive("stored-output", StoredOutput)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
