"""Show the stored output of the live recommender's chapter on the front page as well.

The line `LIVE RECOMMENDER` of the page is replaced by the output of the cell that is tagged
`live-recommender` in `book/recommend.ipynb`.
"""

import json
from pathlib import Path

PLACEHOLDER, TAG, CHAPTER = "LIVE RECOMMENDER", "live-recommender", "book/recommend.ipynb"


def stored_html(path):
    """Return the HTML of the tagged cell; raise if the chapter has none stored."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if TAG in cell["metadata"].get("tags", []):
            for output in cell["outputs"]:
                if html := output.get("data", {}).get("text/html"):
                    return "".join(html)
    raise ValueError(
        f"{path} has no stored output in a cell tagged {TAG}: run tools/execute_notebooks.py"
    )


def insert(app, docname, source):
    """Replace the placeholder before the page is parsed."""
    if docname == app.config.root_doc and PLACEHOLDER in source[0]:
        html = stored_html(Path(app.srcdir) / CHAPTER)
        app.env.note_dependency(CHAPTER)
        source[0] = source[0].replace(PLACEHOLDER, f"````{{raw}} html\n{html}\n````")


def setup(app):
    """Register the event handler."""
    app.connect("source-read", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
