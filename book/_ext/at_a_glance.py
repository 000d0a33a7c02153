"""Draw the front page's errors of the models, from the results file of the comparison.

They are a table in HTML: models, dots with error bars, and the same numbers as text.
"""

from html import escape
from io import StringIO

import pandas as pd

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


def place(stars: float) -> float:
    """Return the place of an error on the axis, in per cent of its width."""
    return 100 * (stars - LEAST) / (MOST - LEAST)


def table(text: str) -> str:
    """Return the table in HTML, from the text of the results file; no bar may leave the axis."""
    results = pd.read_csv(StringIO(text), comment="#")
    errors = results[results["protocol"] == PROTOCOL].groupby("model")["rmse"]
    lines = "".join(f'<i class="tick" style="left: {place(tick):.2f}%"></i>' for tick in TICKS)
    rows = []
    for model, label in MODELS.items():
        rmse = errors.get_group(model)
        mean, std = rmse.mean(), rmse.std()
        if not LEAST < mean - std < mean + std < MOST:
            raise ValueError(f"{model} is not between {LEAST} and {MOST} stars")
        left, middle, right = place(mean - std), place(mean), place(mean + std)
        row = {"label": escape(label), "mark": ' class="autorec"' if "AutoRec" in label else ""}
        row |= {"mean": mean, "std": std, "left": left, "middle": middle, "width": right - left}
        rows.append(ROW.format(lines=lines, **row))
    ticks = "".join(f'<i style="left: {place(tick):.2f}%">{tick:.2f}</i>' for tick in TICKS)
    return TABLE.format(ticks=ticks, rows="\n".join(rows))
