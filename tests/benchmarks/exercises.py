"""The sweeps of the three exercise chapters, over five random splits.

    python tests/benchmarks/exercises.py [width] [depth] [activations] [--keep FOLDER]

Runs the cells of `book/exercise_<name>.ipynb` up to the one tagged `sweep-settings`, which says
what is swept, and writes `autorec_d2l/results/exercise_<name>.csv`. A reader who changes that cell
changes this sweep. With `--keep`, finished rows are kept in a folder and a stopped run goes on
where it was. All three take about twenty minutes of one core.
"""

import argparse
from pathlib import Path

import nbformat
import pandas as pd
from provenance import write_results

import autorec_d2l as d2l
from autorec_d2l import study

BOOK = Path(__file__).parents[2] / "book"
CHAPTERS = ["width", "depth", "activations"]
SPLITS = range(5)


def main():
    """Sweep the chapters that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chapters", nargs="*", choices=[*CHAPTERS, []], metavar="CHAPTER")
    parser.add_argument("--keep", type=Path, help="folder for rows that are finished")
    options = parser.parse_args()
    ratings = d2l.read_data_ml100k()
    for chapter in options.chapters or CHAPTERS:
        sweeps = read_settings(BOOK / f"exercise_{chapter}.ipynb")["sweeps"]
        keep = options.keep / f"{chapter}.csv" if options.keep else None
        tables = {}
        for name, sweep in sweeps.items():
            tables[name] = study.run_sweep(ratings, **sweep, splits=SPLITS, keep=keep)
            if len(tables[name]) < len(SPLITS) * len(sweep["models"]):
                return  # stopped by hand: a results file is whole or not there
        table = pd.concat(tables, names=["sweep"]).reset_index("sweep")
        write_results(table, f"exercise_{chapter}.csv")


def read_settings(path):
    """Run a chapter up to its settings and return their names."""
    names = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, path.name, "exec"), names)
            if "sweep-settings" in cell.metadata.get("tags", []):
                return names
    raise ValueError(f"{path} has no cell tagged sweep-settings")


if __name__ == "__main__":
    main()
