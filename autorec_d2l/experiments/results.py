"""Results files: tidy tables that are shipped with the library and name how they were made."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

Settings = Mapping[str, Any]


def read_results(name: str) -> pd.DataFrame:
    """Read one of the library's results files, for example ``comparison.csv``.

    Its first lines, which start with ``#``, name the command, the versions, the machine and the
    date. Raises ``FileNotFoundError`` for an unknown name.
    """
    with (files("autorec_d2l") / "results" / name).open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#")


def agree(
    computed: pd.DataFrame,
    file: pd.DataFrame,
    tolerance: float,
    value: str = "test_rmse",
    on: Sequence[str] = ("model", "split"),
) -> pd.DataFrame:
    """Assert that computed values agree with those of a results file.

    The rows of ``computed`` are looked up in ``file`` by the columns ``on``; ``tolerance`` is in
    the unit of ``value``. Returns both values and their gap, one row each.

    Raises ``AssertionError`` naming the rows that differ by more, and ``ValueError`` for a row
    that the file does not contain exactly once.
    """
    on = list(on)
    both = computed[[*on, value]].merge(
        file[[*on, value]], on=on, how="left", suffixes=("", "_file"), indicator=True
    )
    if len(computed) == 0 or len(both) != len(computed) or (both.pop("_merge") != "both").any():
        raise ValueError(f"the file needs each computed row once, looked up by {on}\n{both}")
    both["gap"] = (both[value] - both[f"{value}_file"]).abs()
    apart = both[~(both["gap"] <= tolerance)]  # NaN too
    if len(apart):
        raise AssertionError(f"further apart than {tolerance}:\n{apart.to_string(index=False)}")
    return both


def boundary_choices(
    table: pd.DataFrame,
    trials: Mapping[str, Sequence[Settings]],
    num_epochs: int | None = None,
    chosen: str = "chosen",
) -> pd.DataFrame:
    """Count the splits on which a chosen setting is the lowest or the highest one offered.

    ``table`` has one row per model and split, with the ``chosen`` trial as JSON; ``trials`` maps
    each model to its list. Every numeric setting with at least two offered values gets a row:
    ``model, setting, lowest, highest`` (offered), ``at_lowest, at_highest`` (splits on which it
    was chosen), ``splits``, and ``flag``, true where one of the two is more than half of the
    splits. ``num_epochs``, the limit, adds the column ``epochs`` of ``table`` as a setting, of
    which only the highest value counts.

    Raises ``ValueError`` for a choice that was not offered.
    """
    rows = []
    for model, offered in trials.items():
        of_model = table[table["model"] == model]
        picks, offered = [json.loads(text) for text in of_model[chosen]], plain(list(offered))
        if not all(pick in offered for pick in picks):
            raise ValueError(f"{model!r} chose a trial that its list does not offer")
        values = pd.DataFrame(offered).select_dtypes("number")
        picked = pd.DataFrame(picks, index=of_model.index, columns=values.columns)
        limits = {name: [of.min(), of.max()] for name, of in values.items() if of.nunique() > 1}
        if num_epochs is not None:
            picked["epochs"], limits["epochs"] = of_model["epochs"], [math.nan, num_epochs]
        for setting, (lowest, highest) in limits.items():
            counts = [int((picked[setting] == limit).sum()) for limit in (lowest, highest)]
            flag = 2 * max(counts) > len(picks)
            rows.append((model, setting, lowest, highest, *counts, len(picks), flag))
    columns = ["model", "setting", "lowest", "highest", "at_lowest", "at_highest", "splits", "flag"]
    return pd.DataFrame(rows, columns=columns)


def as_json(settings: Any) -> str:
    """Return settings as JSON for a results file; a function is written as its name."""
    return json.dumps(settings, default=_as_plain)


def plain(settings: Any) -> Any:
    """Return settings as JSON would hold them: numpy's numbers as Python's, tuples as lists."""
    return json.loads(as_json(settings))


def _as_plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    function = getattr(value, "func", value)  # of functools.partial
    if not callable(function):
        raise TypeError(f"settings must be text, numbers, lists or functions, got {value!r}")
    return getattr(function, "__name__", type(function).__name__)
