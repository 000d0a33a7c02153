"""Everything of this project that needs a GPU: its tests, and the table of times.

    python benchmarks/train_time_gpu.py [--splits 5]

First runs each test that is skipped without a GPU; those for two GPUs need two. Then trains the
configurations of `train_time.py` that are ours with d2l's settings on MovieLens-100K, evaluation
after each epoch, after a warm-up, and writes `autorec_d2l/results/train_time_gpu.csv`: one row per
configuration, split and epoch, with the seconds since the start, ratings per second, and matrix
cells a second (rated or not: what d2l prints as examples a second).
"""

import sys

import configurations
import pandas as pd
import pytest
import torch
from provenance import ROOT, options_of, write_results
from tqdm import tqdm

CONFIGURATIONS = [
    "ours, dense",
    "ours, dense bfloat16",
    "ours, sparse",
    "ours, sparse, quick dropout",
]
COLUMNS = ["arm", "split", "device", "epoch", "train_rmse", "test_rmse", "total_seconds"]
RATES = ["ratings_per_s", "cells_per_s"]


class NeedsGpu:
    """A plugin of pytest that leaves the tests which are skipped where a GPU is missing."""

    def pytest_collection_modifyitems(self, items):
        """Go by the reason that the tests give."""
        items[:] = [
            item
            for item in items
            if any("GPU" in mark.kwargs.get("reason", "") for mark in item.iter_markers("skipif"))
        ]


def run_tests(*options):
    """Run the tests that need a GPU and return pytest's exit code."""
    return pytest.main(["-rs", *options, str(ROOT / "tests")], plugins=[NeedsGpu()])


def time_configurations(device, splits, epochs):
    """Return the curves of all configurations on a device, after a warm-up of each."""
    device = torch.device(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    curves = []
    for split in tqdm(range(splits), unit="split"):
        matrices = configurations.load_matrices("100k", split)
        matrix, _ = matrices[0]
        cells_a_rating = matrix.shape[0] * matrix.shape[1] / len(matrix.values)
        for configuration in CONFIGURATIONS:
            if split == 0:
                configurations.train_configuration(
                    configuration, "100k", matrices, 1, split, device=device
                )
            history = configurations.train_configuration(
                configuration, "100k", matrices, epochs, split, device=device
            )
            history["cells_per_s"] = history["ratings_per_s"] * cells_a_rating
            curves.append(history.reset_index().assign(arm=configuration, split=split, device=name))
    return pd.concat(curves)[COLUMNS + RATES]


def summarize(curves):
    """Return one row per configuration: medians over splits of seconds and rates, mean RMSE."""
    last = curves[curves["epoch"] == curves["epoch"].max()].groupby("arm", sort=False)
    table = last.agg({"total_seconds": "median", "test_rmse": "mean"})
    return table.join(curves.groupby("arm")[RATES].median())


def main():
    """Refuse a machine without a GPU in one line; else test, time and write."""
    parser = options_of(__doc__)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=25)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("No GPU here: torch.cuda.is_available() is False, so there is nothing to measure.")
    if run_tests() != pytest.ExitCode.OK:
        sys.exit("A test that needs a GPU failed, so nothing was measured.")
    curves = time_configurations("cuda", options.splits, options.epochs)
    write_results(curves, "train_time_gpu.csv")
    print(summarize(curves).to_string(float_format="{:,.4g}".format))


if __name__ == "__main__":
    main()
