"""Results files: tidy tables that travel with the library and say how they were made."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from autorec_d2l.data.rating_scale import RatingScale

Settings = Mapping[str, Any]


def read_results(name: str) -> pd.DataFrame:
    """Read one of the library's results files, for example ``comparison.csv``.

    Its first lines, which start with ``#``, name the command, the versions, the machine and the
    date. Raises ``FileNotFoundError`` for a name that is not there.
    """
    with (files("autorec_d2l") / "results" / name).open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#")


def agree(
    computed: pd.DataFrame,
    file: pd.DataFrame,
    tolerance: float | Mapping[str, float] | Callable[[str], float],
    value: str = "test_rmse",
    on: Sequence[str] = ("model", "split"),
) -> pd.DataFrame:
    """Assert that what a page computed is what its results file says.

    The rows of ``computed`` are looked up in ``file`` by the columns ``on``. ``tolerance``, in the
    unit of ``value``, is one number, or one for each model (a mapping or a function of its name).
    Returns both values and their gap, a row each.

    Raises ``AssertionError`` naming the rows that are further apart, and ``ValueError`` for a row
    that the file does not have exactly once.
    """
    on = list(on)
    both = computed[[*on, value]].merge(
        file[[*on, value]], on=on, how="left", suffixes=("", "_file"), indicator=True
    )
    if len(computed) == 0 or len(both) != len(computed) or (both.pop("_merge") != "both").any():
        raise ValueError(f"the file needs each computed row once, looked up by {on}\n{both}")
    both["gap"] = (both[value] - both[f"{value}_file"]).abs()
    if isinstance(tolerance, Mapping):
        tolerance = tolerance.__getitem__
    allowed = both["model"].map(tolerance) if callable(tolerance) else tolerance
    apart = both[~(both["gap"] <= allowed)]
    if len(apart):
        raise AssertionError(f"further apart than {tolerance}:\n{apart.to_string(index=False)}")
    return both


def boundary_choices(
    table: pd.DataFrame,
    trials: Mapping[str, Sequence[Settings]],
    num_epochs: int | None = None,
    chosen: str = "chosen",
) -> pd.DataFrame:
    """Count on how many splits a choice lies on the edge of what was offered.

    ``table`` has a row a model and split, with the ``chosen`` trial as JSON; ``trials`` maps each
    model to its list. Every setting with numbers, of which at least two were offered, gets a row:
    ``model, setting, lowest, highest`` (offered), ``at_lowest, at_highest`` (splits on which it
    was chosen), ``splits``, and ``flag``, true where one of the two is more than half of the
    splits. ``num_epochs``, the limit, adds the column ``epochs`` of ``table`` as a setting, of
    which only the highest is an edge.

    Raises ``ValueError`` for a choice that was not offered.
    """
    rows = []
    for model, offered in trials.items():
        offered = [plain(trial) for trial in offered]
        of_model = table[table["model"] == model]
        picks = [json.loads(text) for text in of_model[chosen]]
        if not all(pick in json.loads(as_json(offered)) for pick in picks):
            raise ValueError(f"{model!r} chose a trial that its list does not offer")
        for setting in dict.fromkeys(name for trial in offered for name in trial):
            values = [trial[setting] for trial in offered if _is_number(trial.get(setting))]
            if len(set(values)) > 1:
                chose = [pick.get(setting) for pick in picks]
                rows.append((model, setting, min(values), max(values), chose))
        if num_epochs is not None:
            rows.append((model, "epochs", None, num_epochs, of_model["epochs"].tolist()))
    table = pd.DataFrame(rows, columns=["model", "setting", "lowest", "highest", "chose"])
    for end in ("lowest", "highest"):
        at = [values.count(edge) for values, edge in zip(table["chose"], table[end], strict=True)]
        table[f"at_{end}"] = np.array(at, dtype=int)
    table["splits"] = table.pop("chose").map(len)
    table["flag"] = table[["at_lowest", "at_highest"]].max(axis=1) * 2 > table["splits"]
    return table


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """Return settings as Python's own words, numbers, lists and dictionaries; functions stay.

    Raises ``TypeError`` naming what else is there, which no results file could hold.
    """
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple, range)) and not hasattr(value, "_fields"):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (str, int, float, RatingScale)) or callable(value):
        return value
    raise TypeError(f"settings are words, numbers, lists and functions, got {value!r}")


def as_json(settings: Any) -> str:
    """Return settings as text for a results file; a function stands there by its name."""
    return json.dumps(plain(settings), default=name_of)


def name_of(function: Callable | RatingScale) -> str:
    """Return a function's name, of a partial one that of the whole, or that of its class."""
    if isinstance(function, RatingScale):
        return str(function)
    function = getattr(function, "func", function)
    return getattr(function, "__name__", type(function).__name__)
