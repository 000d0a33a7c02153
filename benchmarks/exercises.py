"""The sweeps of the three exercise chapters, over five random splits.

    python benchmarks/exercises.py [width] [depth] [activations] [--processes 2]

Runs the cells of `book/exercise_<name>.ipynb` up to the one tagged `sweep-settings`, which says
what is swept, and writes `autorec_d2l/results/exercise_<name>.csv` as soon as the chapter is done.
A reader who changes that cell changes this sweep. A process trains on one thread.

One row per sweep, model and split: `trials` (how many), `chosen` (the trial, as JSON), `epochs`;
`valid_rmse, train_rmse, test_rmse` (stars, unclipped), `parameters`, and `cpu_seconds` of the last
training.
"""

from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

import nbformat
import pandas as pd
import torch
from IPython.core.inputtransformer2 import TransformerManager
from provenance import options_of, write_results
from tuning import tune_and_test

import autorec_d2l as d2l
from autorec_d2l import experiments
from autorec_d2l.experiments.results import as_json

BOOK = Path(__file__).parents[1] / "book"
CHAPTERS = ["width", "depth", "activations"]
SPLITS = range(5)


def main():
    """Sweep the chapters that are named, or all; the splits lie side by side."""
    parser = options_of(__doc__)
    parser.add_argument("chapters", nargs="*", choices=[*CHAPTERS, []], metavar="CHAPTER")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    chapters = options.chapters or CHAPTERS
    with ProcessPoolExecutor(options.processes) as pool:
        tables = pool.map(sweep_split, *zip(*product(chapters, SPLITS), strict=True))
        for chapter in chapters:
            table = pd.concat([next(tables) for _ in SPLITS])
            write_results(table, f"exercise_{chapter}.csv")


def sweep_split(chapter, split):
    """Return the rows of a chapter's sweeps on one split."""
    torch.set_num_threads(1)
    sweeps = read_settings(BOOK / f"exercise_{chapter}.ipynb")["sweeps"]
    parts = experiments.split_parts(d2l.read_data_ml100k(), "random", split)
    tables = {name: run_sweep(parts, split, **sweep) for name, sweep in sweeps.items()}
    return pd.concat(tables, names=["sweep"]).reset_index("sweep")


def run_sweep(parts, split, models, num_epochs, trials=()):
    """Fit every model on one split; return a row for each.

    `models` maps a label to settings of `fit_autorec`, or of another function given as `fit`. A
    model may have `trials` of its own, as many as the others have.
    """
    models = {label: {"trials": trials, **model} for label, model in models.items()}
    numbers = {label: len(model["trials"]) for label, model in models.items()}
    if len(set(numbers.values())) > 1:
        raise ValueError(f"every model needs the same number of trials, got {numbers}")
    rows = []
    for label, model in models.items():
        settings = {"fit": experiments.fit_autorec, **model}
        outcome = tune_and_test(parts=parts, num_epochs=num_epochs, seed=split, **settings)
        on_train = experiments.score(outcome.model.predict(parts.train_data), parts.train_data)
        rows.append(
            {
                "model": label,
                "split": split,
                "trials": len(model["trials"]),
                "chosen": as_json(outcome.choice.trial),
                "epochs": outcome.choice.num_epochs,
                "valid_rmse": outcome.choice.valid_rmse,
                "train_rmse": on_train["rmse"],
                "test_rmse": outcome.test_rmse,
                "parameters": outcome.model.num_parameters,
                "cpu_seconds": outcome.cpu_seconds,
            }
        )
    return pd.DataFrame(rows)


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
