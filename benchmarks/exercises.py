"""The sweeps of the three exercise chapters, over five random splits.

    python benchmarks/exercises.py [width] [depth] [activations] [--processes 2]

Runs the cells of `book/exercise_<name>.ipynb` up to the one tagged `sweep-settings`, which says
what is swept, and writes `autorec_d2l/results/exercise_<name>.csv`. A reader who changes that cell
changes this sweep. With `--cache`, finished rows are stored in a folder and a stopped run goes on
where it was. A process trains on one thread.
"""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nbformat
import pandas as pd
import torch
from IPython.core.inputtransformer2 import TransformerManager
from provenance import options_of, write_results

import autorec_d2l as d2l
from autorec_d2l import experiments

BOOK = Path(__file__).parents[1] / "book"
CHAPTERS = ["width", "depth", "activations"]
SPLITS = range(5)


def main():
    """Sweep the chapters that are named, or all; the splits lie side by side."""
    parser = options_of(__doc__)
    parser.add_argument("chapters", nargs="*", choices=[*CHAPTERS, []], metavar="CHAPTER")
    parser.add_argument("--cache", type=Path, help="folder for finished rows")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    chapters = options.chapters or CHAPTERS
    todo = [(chapter, split, options.cache) for chapter in chapters for split in SPLITS]
    with ProcessPoolExecutor(options.processes) as pool:
        tables = list(pool.map(sweep_split, *zip(*todo, strict=True)))
    for chapter in chapters:
        of_chapter = [
            table for (name, *_), table in zip(todo, tables, strict=True) if name == chapter
        ]
        write_results(pd.concat(of_chapter), f"exercise_{chapter}.csv")


def sweep_split(chapter, split, cache):
    """Return the rows of a chapter's sweeps on one split."""
    torch.set_num_threads(1)
    sweeps = read_settings(BOOK / f"exercise_{chapter}.ipynb")["sweeps"]
    ratings = d2l.read_data_ml100k()
    tables = {
        name: experiments.run_sweep(ratings, **sweep, splits=[split], cache=cache)
        for name, sweep in sweeps.items()
    }
    return pd.concat(tables, names=["sweep"]).reset_index("sweep")


def read_settings(path):
    """Run a chapter up to its settings and return their names."""
    names = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            source = TransformerManager().transform_cell(cell.source)  # "%pip" is not Python
            exec(compile(source, path.name, "exec"), names)
            if "sweep-settings" in cell.metadata.get("tags", []):
                return names
    raise ValueError(f"{path} has no cell tagged sweep-settings")


if __name__ == "__main__":
    main()
