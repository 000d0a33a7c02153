"""What it takes to cut MovieLens-100K into batches, without any training.

    python benchmarks/loading_time.py

Writes `autorec_d2l/results/loading.csv`: milliseconds of an epoch of 7 batches, the median of some
epochs. The loaders take turns, so that a busy machine is busy for all of them.
"""

import time
from statistics import median

import pandas as pd
from provenance import write_results
from torch.utils.data import DataLoader
from tqdm import tqdm

import autorec_d2l as d2l

EPOCHS = 15


def main():
    """Time the three loaders and write the file."""
    data, num_users, num_items = d2l.read_data_ml100k()
    train_data, _ = d2l.split_data_ml100k(data, num_users, num_items)
    train_inter = d2l.load_data_ml100k(train_data, num_users, num_items)[3]
    loaders = {
        "whole batches": d2l.load_array((train_inter,), 256),
        "row by row": DataLoader(train_inter, 256, shuffle=True),
        "4 workers": DataLoader(train_inter, 256, shuffle=True, num_workers=4),
    }
    seconds = {name: [] for name in loaders}
    for _ in tqdm(range(EPOCHS + 1), unit="epoch"):  # the first does not count
        for name, loader in loaders.items():
            start = time.perf_counter()
            for _ in loader:
                pass
            seconds[name].append(time.perf_counter() - start)
    rows = [(name, round(1e3 * median(found[1:]), 2)) for name, found in seconds.items()]
    table = pd.DataFrame(rows, columns=["loader", "milliseconds"])
    write_results(table, "loading.csv")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
