"""Show on its page how long the chapters take, as the results file says.

The line `RUN TIMES` of a page is replaced by a table of chapters and seconds, and by the head of
the file: the command, versions, hashes of the data, machine and date. So no number is typed in.
"""

import csv
from pathlib import Path

MARK, FILE = "RUN TIMES", "autorec_d2l/results/run_times.csv"


def tables(text: str) -> str:
    """Return the results file ``text`` as two tables in Markdown."""
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


def put_in(app, docname, source):
    """Replace the mark, before the page is parsed; without a file say how to make it."""
    if docname != "book/run_times" or MARK not in source[0]:
        return
    path = Path(app.srcdir) / FILE
    app.env.note_dependency(FILE)
    found = "Nothing has been measured yet: run the command above."
    if path.exists():
        found = tables(path.read_text(encoding="utf-8"))
    source[0] = source[0].replace(MARK, found)


def setup(app):
    """Connect."""
    app.connect("source-read", put_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
