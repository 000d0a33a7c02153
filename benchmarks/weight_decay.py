"""One weight decay, three loss scales: AutoRec with d2l's settings over a range of `wd`.

    python benchmarks/weight_decay.py

Writes `autorec_d2l/results/weight_decay.csv`. `scale` is how many times larger the loss is than
d2l's half mean over all cells of a batch of 256 rows; `wd` was given to Adam, and `wd / scale`
is what it amounts to next to d2l's loss.
"""

import pandas as pd
import torch
from provenance import write_results
from tqdm import tqdm

import autorec_d2l as d2l

AMOUNTS = [1e-6, 1e-5, 3e-5, 1e-4, 3e-4]
SEEDS = [0, 1]


def half_mean_observed(predictions, target):
    """Half the mean square over the rated cells of the batch."""
    return (predictions - target).square().sum() / target.count_nonzero() / 2


def half_sum(predictions, target):
    """Half the sum of squares."""
    return (predictions - target).square().sum() / 2


def main():
    """Train on random split 0 and write the file."""
    data, num_users, num_items = d2l.read_data_ml100k()
    parts = d2l.split_data_ml100k(data, num_users, num_items)
    train_inter, test_inter = (d2l.load_data_ml100k(p, num_users, num_items)[3] for p in parts)
    density = float((train_inter != 0).float().mean())
    losses = {
        "half mean, all cells": (d2l.L2Loss(), 1.0),
        "half mean, observed cells": (half_mean_observed, 1 / density),
        "half sum": (half_sum, 256.0 * num_users),
    }
    runs = []
    for name, (loss, scale) in losses.items():
        # The same wd as written, then the same amounts.
        for wd in tqdm(sorted({1e-5, *(amount * scale for amount in AMOUNTS)}), desc=name):
            for seed in SEEDS:
                history, norm = train(train_inter, test_inter, loss, wd, seed)
                last = history.iloc[-1]
                rmse = last["train_rmse"].round(5), last["test_rmse"].round(5)
                runs.append((name, scale, wd, seed, *rmse, round(norm, 4)))
    columns = ["loss", "scale", "wd", "seed", "train_rmse", "test_rmse", "weight_norm"]
    write_results(pd.DataFrame(runs, columns=columns), "weight_decay.csv")


def train(train_inter, test_inter, loss, wd, seed):
    """Return the history of 25 epochs of whole batches, and the norm of all weights."""
    torch.manual_seed(seed)
    net = d2l.AutoRec(500, train_inter.shape[1])
    history = d2l.train_recsys_rating(
        net,
        d2l.load_array((train_inter,), 256, seed=seed, last_batch="rollover"),
        d2l.load_array((train_inter,), 1024, is_train=False),
        loss,
        torch.optim.Adam(net.parameters(), lr=0.002, weight_decay=wd),
        num_epochs=25,
        inter_mat=test_inter,
    )
    with torch.no_grad():
        return history, float(sum(p.square().sum() for p in net.parameters()) ** 0.5)


if __name__ == "__main__":
    main()
