"""Replace lines of pages by what other files hold.

`AT A GLANCE` becomes the errors of the models, `LIVE RECOMMENDER` the stored output of the cell
with the tag `live-recommender`, and `RUN TIMES` the seconds of the chapters and the header of
their results file: command, versions, hashes of the data, machine and date.
"""

import csv
import json
import re
from pathlib import Path

from at_a_glance import table
from messages import catalogue

RAW = "````{{raw}} html\n{html}\n````"


def at_a_glance(text, _):
    """Return the table of errors, from the results file of the comparison."""
    return RAW.format(html=table(text, _))


def live_recommender(text, _):
    """Return the stored HTML of the tagged cell of a notebook; raise if there is none."""
    for cell in json.loads(text)["cells"]:
        if "live-recommender" in cell["metadata"].get("tags", []):
            for output in cell["outputs"]:
                if html := output.get("data", {}).get("text/html"):
                    return RAW.format(html="".join(html))
    raise ValueError("the live recommender is not stored: run tools/execute_notebooks.py")


def run_times(text, _=str):
    """Return the text of the results file as two tables in Markdown."""
    lines = text.splitlines()
    head = [line.removeprefix("# ").split(": ", 1) for line in lines if line.startswith("# ")]
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    total = sum(float(row["seconds"]) for row in rows)
    chapter, seconds, every, environment = _("chapter"), _("seconds"), _("all"), _("environment")
    return "\n".join(
        [
            f"| {chapter} | {seconds} |\n|---|---:|",
            *(f"| {{doc}}`{row['chapter']}` | {float(row['seconds']):.0f} |" for row in rows),
            f"| **{every} {len(rows)}** | **{total:.0f}** |",
            f"\n| {environment} | |\n|---|---|",
            *(f"| {name} | {value} |" for name, value in head),
        ]
    )


PLACEHOLDERS = {  # the file that each is made from, and how
    "AT A GLANCE": ("autorec_d2l/results/comparison.csv", at_a_glance),
    "LIVE RECOMMENDER": ("book/recommend.ipynb", live_recommender),
    "RUN TIMES": ("autorec_d2l/results/run_times.csv", run_times),
}


def insert(app, docname, source):
    """Replace the placeholders before the page is parsed."""
    _ = catalogue(app.config.language, "extensions")
    for placeholder, (file, content) in PLACEHOLDERS.items():
        if re.search(f"^{placeholder}$", source[0], re.MULTILINE):
            app.env.note_dependency(file)
            text = (Path(app.srcdir) / file).read_text(encoding="utf-8")
            source[0] = source[0].replace(placeholder, content(text, _))


def setup(app):
    """Register the event handler."""
    app.connect("source-read", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
