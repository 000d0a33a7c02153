"""What a better AutoRec owes to its start, its learning rate and its number of epochs.

    python tests/benchmarks/ablation.py [--processes 2]

d2l's AutoRec on the *validation* parts of the five random splits of MovieLens-100K: the output
starts at zero (d2l) or at the mean rating, the learning rate is 0.002 (d2l) or 0.001, and training
goes on for 100 epochs. No test rating is read. A process trains on one thread.

Writes `autorec_d2l/results/ablation.csv`, a row a combination, split and epoch: the RMSE on the
validation part, in stars. The rest is in the curves: the error after 20 or 25 epochs, the best
epoch, and what is lost by stopping elsewhere.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import pandas as pd
import torch
from provenance import write_results

import autorec_d2l as d2l
from autorec_d2l import study

SPLITS = range(5)
NUM_EPOCHS = 100


def main():
    """Run the splits side by side, and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with ProcessPoolExecutor(options.processes) as pool:
        tables = list(pool.map(run_split, SPLITS))
    write_results(pd.concat(tables), "ablation.csv")


def run_split(split):
    """Return the curves of one split."""
    torch.set_num_threads(1)
    parts = study.split_parts(d2l.read_data_ml100k(), "random", split)
    tables = []
    for init, lr in product(("zero", "mean"), (0.002, 0.001)):
        fitted = study.fit_autorec(
            parts.fit_data, parts.valid_data, parts.sizes, NUM_EPOCHS, split, init=init, lr=lr
        )
        curve = fitted.history["test_rmse"].rename("valid_rmse").reset_index()
        tables.append(curve.assign(start=init, lr=lr, split=split))
    return pd.concat(tables)[["start", "lr", "split", "epoch", "valid_rmse"]]


if __name__ == "__main__":
    main()
