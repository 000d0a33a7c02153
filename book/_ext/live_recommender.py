"""Put the live recommender of its chapter on the front page, as the chapter has stored it.

The line `LIVE RECOMMENDER` of a page is replaced by the output of the cell that is tagged
`live-recommender` in `book/recommend.ipynb`. So there is one fragment, and it is never old.
"""

import json
from pathlib import Path

MARK, TAG, CHAPTER = "LIVE RECOMMENDER", "live-recommender", "book/recommend.ipynb"


def fragment(path):
    """Return the HTML of the tagged cell; raise if the chapter has none stored."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if TAG in cell["metadata"].get("tags", []):
            for output in cell["outputs"]:
                if html := output.get("data", {}).get("text/html"):
                    return "".join(html)
    raise ValueError(
        f"{path} has no stored output in a cell tagged {TAG}: run tools/execute_notebooks.py"
    )


def put_in(app, docname, source):
    """Replace the mark, before the page is parsed."""
    if docname == app.config.root_doc and MARK in source[0]:
        html = fragment(Path(app.srcdir) / CHAPTER)
        app.env.note_dependency(CHAPTER)
        source[0] = source[0].replace(MARK, f"````{{raw}} html\n{html}\n````")


def setup(app):
    """Connect."""
    app.connect("source-read", put_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
