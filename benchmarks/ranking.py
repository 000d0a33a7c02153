"""Ranking metrics of eight models on splits of MovieLens-100K.

    python benchmarks/ranking.py

On each of five random 90/10 splits every model gets four trials. The one with the highest NDCG at
10 on a validation tenth of the training part is fitted to the whole training part, and only then
are the test ratings read, once. The lists of trials were written after looking at the validation
parts of the first two splits. A film is *relevant* if its held-out rating is 4 or 5 stars;
candidates are all films that the user has not rated in training; users without a relevant film, or
without a training rating, are left out. Five of the models also face the last rating of each user,
and the newest tenth of all ratings; there nothing is chosen: each has the first settings of its
list.

Writes `autorec_d2l/results/ranking.csv`, one row per split and model: precision, recall and NDCG
at 10, coverage, mean popularity, RMSE in stars where scores are stars, the chosen settings. Writes
`ranking_users.csv`, the NDCG of each user, for the last two kinds of splits. One thread.
"""

import json
import time

import pandas as pd
import rankers
import torch
from provenance import write_results
from tqdm import tqdm

import autorec_d2l as d2l
from autorec_d2l.experiments import ranking_models
from autorec_d2l.experiments.ranking_metrics import (
    coverage_and_popularity,
    ranking_metrics,
    top_lists,
    user_item_matrix,
)

LIKED = 4  # stars
IN_STARS = ("MF", "AutoRec", "AutoRec without its mask")
MF = {"batch_size": 4096, "lr": 0.01, "num_epochs": 10}
UNMASKED = {"mask": False, "num_epochs": 25, "wd": 1e-4}
VAE = {"num_hidden": 600, "lr": 0.004, "num_epochs": 12, "beta": 1.0, "min_rating": LIKED}
MODELS = {
    "popularity": (
        ranking_models.rank_popularity,
        [{"min_rating": stars} for stars in (1, 3, 4, 5)],
    ),
    "MF": (
        rankers.rank_mf,
        [
            {**MF, "wd": 1e-4},
            {**MF, "wd": 3e-4},
            {**MF, "wd": 1e-3},
            {**MF, "wd": 1e-4, "lr": 0.02},
        ],
    ),
    "AutoRec": (
        ranking_models.rank_autorec,
        [
            {"num_epochs": 50, "dropout": 0.3},
            {"num_epochs": 25},
            {"num_epochs": 25, "dropout": 0.3},
            {"num_epochs": 25, "dropout": 0.5},
        ],
    ),
    "AutoRec without its mask": (
        ranking_models.rank_autorec,
        [
            UNMASKED,
            {**UNMASKED, "wd": 1e-5},
            {**UNMASKED, "num_epochs": 15},
            {**UNMASKED, "num_epochs": 15, "wd": 3e-4},
        ],
    ),
    "EASE, stars": (
        rankers.rank_ease,
        [{"wd": wd, "min_rating": None} for wd in (5000, 2000, 10000, 20000)],
    ),
    "EASE, liked": (
        rankers.rank_ease,
        [{"wd": wd, "min_rating": LIKED} for wd in (200, 100, 300, 500)],
    ),
    "EASE, rated": (
        rankers.rank_ease,
        [{"wd": wd, "min_rating": 1} for wd in (300, 200, 500, 1000)],
    ),
    "Mult-VAE": (
        rankers.rank_mult_vae,
        [
            {**VAE, "beta": 0.5, "lr": 0.002, "num_epochs": 20},
            {**VAE, "beta": 0.2, "lr": 0.002, "num_epochs": 30, "num_hidden": 200},
            {**VAE, "dropout": 0.3},
            {**VAE, "min_rating": None},
        ],
    ),
}
ON_ALL = ("popularity", "AutoRec", "AutoRec without its mask", "EASE, stars", "Mult-VAE")
SPLITS = {
    ("seq-aware", 0): ON_ALL,
    ("by time", 0): ON_ALL,
    **{("random", split): MODELS for split in range(5)},
}


def main():
    """Run model by model on each split, and write the files as rows come in."""
    torch.set_num_threads(1)
    data, *sizes = d2l.read_data_ml100k()
    sizes, rows, of_users = tuple(sizes), [], []
    for (protocol, split), models in tqdm(SPLITS.items()):
        train_data, test_data = cut(data, sizes, protocol, split)
        fit_data, valid_data = cut(train_data, sizes, "random", 1000 + split)
        ndcg = {}
        for model in models:
            ranker, trials = MODELS[model]
            trials = trials if protocol == "random" else trials[:1]
            valid = [
                evaluate(ranker(fit_data, sizes, split, **trial), fit_data, valid_data)[0]["ndcg"]
                for trial in trials
                if len(trials) > 1
            ]
            chosen = valid.index(max(valid)) if valid else 0
            start = time.process_time()
            scores = ranker(train_data, sizes, split, **trials[chosen])
            seconds = time.process_time() - start
            metrics, ndcg[model] = evaluate(scores, train_data, test_data)
            rows.append(
                {"protocol": protocol, "split": split, "model": model, "trials": len(valid)}
                | {"chosen": json.dumps(trials[chosen]), "valid_ndcg": max(valid, default=None)}
                | metrics
                | {"rmse": rmse(scores, test_data) if model in IN_STARS else None}
                | {"cpu_seconds": seconds}
            )
            write_results(pd.DataFrame(rows), "ranking.csv")
        if protocol != "random":
            table = pd.DataFrame(ndcg).rename_axis("user").reset_index()
            table.insert(0, "protocol", protocol)
            of_users.append(table)
            write_results(pd.concat(of_users), "ranking_users.csv")
    print(pd.DataFrame(rows).groupby(["protocol", "model"], sort=False).mean(numeric_only=True))


def cut(data, sizes, protocol, seed):
    """Cut a test part off; by time, only users whom the rest knows are tested."""
    if protocol != "by time":
        return d2l.split_data_ml100k(data, *sizes, protocol, 0.1, seed)
    data = data.sort_values("timestamp", kind="stable")
    most = round(0.9 * len(data))
    rest, newest = data.iloc[:most], data.iloc[most:]
    return rest, newest[newest["user_id"].isin(rest["user_id"])]


def evaluate(scores, train_data, held_out):
    """Return the metrics of the lists, means over users with something to find, and their NDCG."""
    seen = user_item_matrix(train_data, scores.shape)
    lists = top_lists(scores, seen)
    metrics = ranking_metrics(lists, user_item_matrix(held_out, scores.shape, LIKED))
    means = metrics.mean().to_dict() | coverage_and_popularity(lists, seen.sum(0))
    return means | {"users": len(metrics)}, metrics["ndcg"]


def rmse(scores, held_out):
    """Return the RMSE of scores that are stars."""
    users, items, stars, _ = d2l.load_data_ml100k(held_out, *scores.shape)
    return d2l.rmse(scores[users, items], stars)


if __name__ == "__main__":
    main()
