"""AutoRec on MovieLens-1M as in the paper: both models, the width curve, the activations.

    AUTOREC_D2L_DATA=PATH python tests/benchmarks/paper_ml1m.py [--processes 2]

`PATH` holds `ml-1m/ratings.dat`, where GroupLens' server cannot be reached. Five random 90/10
splits, none of which had a say in what the trials are. On each of them every model gets three
trials of the penalty and the learning rate on a validation part of the training part, is fitted to
the whole of it with the best, and then reads the test ratings once. Predictions are clipped to 1 to
5 stars. A process trains on one thread.

Writes `autorec_d2l/results/paper_ml1m.csv`, a row a model and split: what it belongs to, RMSE and
MAE in stars, CPU seconds of the training, and its settings.
"""

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor

import pandas as pd
import torch
from provenance import write_results
from tqdm import tqdm

import autorec_d2l as d2l
from autorec_d2l import study

SPLITS = range(3, 8)  # 0 to 2 served to find the trials: what they said no longer counts
NUM_EPOCHS = 30
WEIGHTS = [step / 20 for step in range(21)]  # of the item-based model in the average
PAPER = {"dropout": 0.0, "init": "mean", "batch_size": 512, "one_cycle": True}
PAPER |= {"decay_biases": False}


def trials(*pairs):
    """Return three trials of `(penalty, lr)`; the penalty is the paper's lambda."""
    assert len(pairs) == 3, "every model gets the same number of trials"
    return [{"penalty": penalty, "lr": lr} for penalty, lr in pairs]


NARROW = trials((60, 0.002), (60, 0.005), (60, 0.01))
CELLS = trials((60, 0.002), (300, 0.0005), (1000, 0.0005))
MODELS = {  # part, model: settings, trials
    ("models", "I-AutoRec"): ({}, trials((30, 0.002), (60, 0.002), (100, 0.002))),
    ("models", "U-AutoRec"): (
        {"user_based": True},
        trials((100, 0.002), (150, 0.002), (250, 0.002)),
    ),
    ("widths", "50"): ({"num_hidden": 50}, NARROW),
    ("widths", "100"): ({"num_hidden": 100}, NARROW),
    ("widths", "200"): ({"num_hidden": 200}, NARROW),
    ("activations", "identity/identity"): ({"activation": "identity"}, CELLS),
    ("activations", "sigmoid/identity"): ({"activation": "identity", "output": "bounded"}, CELLS),
    ("activations", "sigmoid/sigmoid"): ({"output": "bounded"}, CELLS),
}


def main():
    """Run the splits side by side, and write the file as they come in."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    results = []
    with ProcessPoolExecutor(options.processes) as pool:
        for rows in tqdm(pool.map(run_split, SPLITS), total=len(SPLITS), unit="split"):
            results += rows
            write_results(pd.DataFrame(results), "paper_ml1m.csv")
    print(pd.DataFrame(results).groupby(["part", "model"])["rmse"].agg(["mean", "std", "count"]))


def run_split(split):
    """Return the rows of one split."""
    torch.set_num_threads(1)
    data, *sizes = d2l.read_data_ml1m()
    train, test = d2l.split_data_ml100k(data, *sizes, "random", 0.1, seed=split)
    part, valid = d2l.split_data_ml100k(train, *sizes, "random", 0.1, seed=1000 + split)
    rows, stars, on_valid = [], {}, {}
    for (part_name, model), (settings, of_model) in MODELS.items():
        tried = [predict(part, valid, sizes, split, PAPER | settings | t)[0] for t in of_model]
        best = min(range(3), key=lambda i, tried=tried: errors(tried[i], valid)["rmse"])
        on_valid[model], chosen = tried[best], PAPER | settings | of_model[best]
        stars[model], seconds = predict(train, test, sizes, split, chosen)
        rows.append(row(part_name, model, split, stars[model], test, seconds, chosen))
    weight = min(WEIGHTS, key=lambda w: errors(mix(w, on_valid), valid)["rmse"])
    seconds = rows[0]["cpu_seconds"] + rows[1]["cpu_seconds"]
    average = mix(weight, stars)
    rows.append(row("models", "average", split, average, test, seconds, {"weight": weight}))
    return rows


def predict(train, held_out, sizes, seed, settings):
    """Return predictions for `held_out`, clipped, and the CPU seconds of the training."""
    settings = dict(settings)
    start = time.process_time()
    # The loss of a batch is a mean over all its cells, and so has to be the penalty.
    wd = settings.pop("penalty") / (sizes[0] * sizes[1])
    fit = study.fit_autorec(train, None, sizes, NUM_EPOCHS, seed, wd=wd, **settings)
    seconds = time.process_time() - start
    return fit.predict(held_out).clamp(1, 5), seconds


def errors(stars, table):
    """Return RMSE and MAE in stars."""
    pairs = [(stars, torch.tensor(table["rating"].to_numpy(), dtype=torch.float32))]
    return {"rmse": d2l.masked_rmse(pairs), "mae": masked_mae(pairs)}


def row(part, model, split, stars, test, seconds, settings):
    return {
        "part": part,
        "model": model,
        "split": split,
        **errors(stars, test),
        "cpu_seconds": seconds,
        "settings": json.dumps(settings),
    }


def mix(weight, stars):
    return weight * stars["I-AutoRec"] + (1 - weight) * stars["U-AutoRec"]


if __name__ == "__main__":
    main()
