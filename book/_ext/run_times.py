"""Show the run times of the chapters, from their results file.

The line `RUN TIMES` of the page is replaced by a table of chapters and seconds, and by the header
of the file: command, versions, hashes of the data, machine and date.
"""

import csv
from pathlib import Path

PLACEHOLDER, FILE = "RUN TIMES", "autorec_d2l/results/run_times.csv"


def tables(text: str) -> str:
    """Return the text of the results file as two tables in Markdown."""
    lines = text.splitlines()
    head = [line.removeprefix("# ").split(": ", 1) for line in lines if line.startswith("# ")]
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    total = sum(float(row["seconds"]) for row in rows)
    return "\n".join(
        [
            "| chapter | seconds |\n|---|---:|",
            *(f"| {{doc}}`{row['chapter']}` | {float(row['seconds']):.0f} |" for row in rows),
            f"| **all {len(rows)}** | **{total:.0f}** |",
            "\n| environment | |\n|---|---|",
            *(f"| {name} | {value} |" for name, value in head),
        ]
    )


def insert(app, docname, source):
    """Replace the placeholder before the page is parsed."""
    if docname != "book/run_times" or PLACEHOLDER not in source[0]:
        return
    app.env.note_dependency(FILE)
    text = (Path(app.srcdir) / FILE).read_text(encoding="utf-8")
    source[0] = source[0].replace(PLACEHOLDER, tables(text))


def setup(app):
    """Register the event handler."""
    app.connect("source-read", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
