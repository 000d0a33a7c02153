"""Which changes to d2l's AutoRec help: initialisation, learning rate, dropout, output, epochs.

    python benchmarks/ablation.py [--processes 2]

d2l's AutoRec on the *validation* parts of the five random splits of MovieLens-100K, for 100
epochs: as it is, and with one or two things changed. No test rating is read. A process trains on
one thread.

Writes `autorec_d2l/results/ablation.csv`, one row per configuration, split and fifth epoch: what
was changed, and the RMSE on the validation part, in stars, unclipped.
"""

import pandas as pd
import torch
from provenance import map_splits, write_results

import autorec_d2l as d2l
from autorec_d2l import experiments

SPLITS = range(5)
NUM_EPOCHS, STEP = 100, 5
D2L = {"init": "zero", "lr": 0.002, "output": "identity", "dropout": 0.05, "input_dropout": 0.0}
DROPOUT = {"dropout": 0.3, "input_dropout": 0.3}
CONFIGURATIONS = [
    {},
    {"init": "mean"},
    {"lr": 0.001},
    {"init": "mean", "lr": 0.001},
    {"output": "bounded"},
    {"dropout": 0.3},
    DROPOUT,
    {"output": "bounded", **DROPOUT},
]


def main():
    """Run the splits side by side, and write the file."""
    tables = map_splits(__doc__, run_split, SPLITS)
    write_results(pd.concat(tables), "ablation.csv")


def run_split(split):
    """Return the curves of one split."""
    torch.set_num_threads(1)
    parts = experiments.split_parts(d2l.read_data_ml100k(), "random", split)
    tables = []
    for settings in CONFIGURATIONS:
        history = experiments.fit_autorec(
            parts.fit_data, parts.valid_data, parts.sizes, NUM_EPOCHS, split, **settings
        ).history
        curve = history["test_rmse"].rename("valid_rmse").iloc[STEP - 1 :: STEP].reset_index()
        tables.append(curve.assign(split=split, **(D2L | settings)))
    return pd.concat(tables)[["split", *D2L, "epoch", "valid_rmse"]]


if __name__ == "__main__":
    main()
