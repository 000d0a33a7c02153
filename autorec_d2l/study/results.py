"""Results files: tidy tables that travel with the library and say how they were made."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd


def read_results(name: str) -> pd.DataFrame:
    """Read one of the library's results files, for example ``exercises.csv``.

    Its first lines, which start with ``#``, name the command, the versions, the machine and the
    date. Raises ``FileNotFoundError`` for a name that is not there.
    """
    with (files("autorec_d2l") / "results" / name).open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#")
