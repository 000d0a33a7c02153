"""What the front doors say is what the code does."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_example_runs_and_trains():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(example, names)
    assert len(names["history"]) == 25
    assert 0.88 < names["history"].test_rmse.iloc[-1] < 0.92


def test_the_links_lead_somewhere():
    targets = re.findall(r"\]\((?!http)([^)]+)\)|src=\"(?!http)([^\"]+)\"", README)
    assert targets
    for target in map("".join, targets):
        assert (Path(__file__).parents[1] / target).exists(), target
