"""Draw the front page's errors of the models, from the results file of the comparison.

The line `AT A GLANCE` of the page is replaced by a table in HTML: models, dots with error bars, and
the same numbers as text.
"""

import csv
from html import escape
from pathlib import Path
from statistics import mean, stdev

PLACEHOLDER, FILE = "AT A GLANCE", "autorec_d2l/results/comparison.csv"
PROTOCOL = "random"  # five random splits, 90/10

# Models of the results file, and what the page calls them.
MODELS = {
    "MF, d2l's settings": "Matrix factorization, d2l's settings",
    "MF, d2l's settings, stopped on validation": (
        "Matrix factorization, d2l's settings, stopped on validation"
    ),
    "AutoRec, d2l's settings": "AutoRec, d2l's settings",
    "MF with global mean, tuned": "Matrix factorization with global mean, tuned",
    "AutoRec, d2l's settings, stopped on validation": (
        "AutoRec, d2l's settings, stopped on validation"
    ),
    "AutoRec, tuned": "AutoRec, tuned",
    "AutoRec, improved": "AutoRec, bounded output and more dropout, tuned",
    "Bayesian factorisation (myfm)": "Bayesian factorization (myfm), tuned",
    "average, three and three": "Average of three item-based and three user-based AutoRecs",
    "blend": "Blend of different models",
}
TICKS = (0.86, 0.88, 0.90, 0.92)
LEAST, MOST = 0.855, 0.925  # the ends of the axis, in stars

TABLE = """<table class="glance">
<caption>Test RMSE in stars, lower is better: mean and standard deviation over five random 90/10
splits of MovieLens-100K. Filled dots: AutoRec.</caption>
<thead><tr><th scope="col">Model</th><th scope="col" class="plot"><span>{ticks}</span></th>
<th scope="col">Test RMSE</th></tr></thead>
<tbody>
{rows}
</tbody></table>"""
ROW = """<tr{mark}><th scope="row">{label}</th>
<td class="plot"><span>{lines}<i class="bar" style="left: {left:.2f}%; width: {width:.2f}%"></i>\
<i class="dot" style="left: {middle:.2f}%"></i></span></td><td>{mean:.3f} ± {std:.3f}</td></tr>"""


def errors(text: str) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation of the models of a results file, over its splits."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    found: dict[str, list[float]] = {}
    for row in csv.DictReader(lines):
        if row["protocol"] == PROTOCOL:
            found.setdefault(row["model"], []).append(float(row["rmse"]))
    return {model: (mean(values), stdev(values)) for model, values in found.items()}


def place(stars: float) -> float:
    """Return the place of an error on the axis, in per cent of its width."""
    return 100 * (stars - LEAST) / (MOST - LEAST)


def table(text: str) -> str:
    """Return the table in HTML; raise if a bar would leave the axis."""
    found, rows = errors(text), []
    lines = "".join(f'<i class="tick" style="left: {place(tick):.2f}%"></i>' for tick in TICKS)
    for model, label in MODELS.items():
        middle, std = found[model]
        if not LEAST < middle - std < middle + std < MOST:
            raise ValueError(f"{model} is not between {LEAST} and {MOST} stars")
        left, right = place(middle - std), place(middle + std)
        mark = ' class="autorec"' if "AutoRec" in label else ""
        where = {"left": left, "width": right - left, "middle": place(middle)}
        rows.append(
            ROW.format(label=escape(label), mark=mark, lines=lines, mean=middle, std=std, **where)
        )
    ticks = "".join(f'<i style="left: {place(tick):.2f}%">{tick:.2f}</i>' for tick in TICKS)
    return TABLE.format(ticks=ticks, rows="\n".join(rows))


def insert(app, docname, source):
    """Replace the placeholder before the page is parsed."""
    if docname == app.config.root_doc and PLACEHOLDER in source[0]:
        app.env.note_dependency(FILE)
        html = table((Path(app.srcdir) / FILE).read_text(encoding="utf-8"))
        source[0] = source[0].replace(PLACEHOLDER, f"````{{raw}} html\n{html}\n````")


def setup(app):
    """Register the event handler."""
    app.connect("source-read", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
