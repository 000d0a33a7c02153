"""Ranking metrics of eight models on splits of MovieLens-100K.

    python benchmarks/ranking.py

On each split every model gets five trials. The one with the highest NDCG at 10 on a validation part
of the training part is fitted to the whole training part, and only then are the test ratings read,
once. The lists of trials were written after looking at validation parts of the first two random
splits. A film is *relevant* if its held-out rating is 4 or 5 stars; candidates are all films that
the user has not rated in training; users without a relevant film, or without a training rating, are
left out. Three kinds of splits: five random 90/10 splits; the last rating of each user; the newest
tenth of all ratings. Validation parts are cut off in the same way, a random one with the seed
1000 + split. The last two kinds are for four of the models.

Writes `autorec_d2l/results/ranking.csv`, one row per split and model: precision, recall and NDCG
at 10, coverage, mean popularity, RMSE in stars where scores are stars, the chosen settings. Writes
`ranking_users.csv`, the NDCG of each user, for the last two kinds of splits. One thread.
"""

import json
import time

import pandas as pd
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
ON_ALL = ("popularity", "AutoRec", "AutoRec without its mask", "EASE, stars")
MF = {"batch_size": 4096, "lr": 0.01, "num_epochs": 20}
UNMASKED = {"mask": False, "num_epochs": 25}
VAE = {"num_hidden": 600, "num_epochs": 20, "min_rating": LIKED}
MODELS = {
    "popularity": (
        ranking_models.rank_popularity,
        [{"min_rating": stars} for stars in (1, 2, 3, 4, 5)],
    ),
    "MF": (
        ranking_models.rank_mf,
        [
            {**MF, "wd": 3e-5},
            {**MF, "wd": 1e-4},
            {**MF, "wd": 3e-4},
            {**MF, "wd": 1e-4, "num_epochs": 10},
            {**MF, "wd": 1e-4, "lr": 0.005},
        ],
    ),
    "AutoRec": (
        ranking_models.rank_autorec,
        [
            {"num_epochs": 25},
            {"num_epochs": 25, "dropout": 0.3},
            {"num_epochs": 50},
            {"num_epochs": 50, "dropout": 0.3},
            {"num_epochs": 50, "dropout": 0.5},
        ],
    ),
    "AutoRec without its mask": (
        ranking_models.rank_autorec,
        [
            {**UNMASKED, "wd": 1e-5},
            {**UNMASKED, "wd": 1e-4},
            {**UNMASKED, "wd": 3e-4},
            {**UNMASKED, "wd": 1e-4, "dropout": 0.3},
            {**UNMASKED, "wd": 1e-4, "num_epochs": 15},
        ],
    ),
    "EASE, rated": (
        ranking_models.rank_ease,
        [{"wd": wd, "min_rating": 1} for wd in (100, 200, 300, 500, 1000)],
    ),
    "EASE, liked": (
        ranking_models.rank_ease,
        [{"wd": wd, "min_rating": LIKED} for wd in (50, 100, 200, 300, 500)],
    ),
    "EASE, stars": (
        ranking_models.rank_ease,
        [{"wd": wd, "min_rating": None} for wd in (1000, 2000, 5000, 10000, 20000)],
    ),
    "Mult-VAE": (
        ranking_models.rank_mult_vae,
        [
            {**VAE, "beta": 0.2, "num_hidden": 200, "num_epochs": 30},
            {**VAE, "beta": 0.5},
            {**VAE, "beta": 0.5, "dropout": 0.3},
            {**VAE, "beta": 1.0, "lr": 0.004, "num_epochs": 12},
            {**VAE, "beta": 1.0, "min_rating": None},
        ],
    ),
}
SPLITS = {
    **{("random", split): MODELS for split in range(5)},
    ("seq-aware", 0): ON_ALL,
    ("by time", 0): ON_ALL,
}


def main():
    """Run model by model on each split, and write the files as rows come in."""
    torch.set_num_threads(1)
    data, *sizes = d2l.read_data_ml100k()
    sizes, rows, of_users = tuple(sizes), [], []
    for (protocol, split), models in tqdm(SPLITS.items()):
        train_data, test_data = cut(data, sizes, protocol, split)
        fit_data, valid_data = cut(train_data, sizes, protocol, 1000 + split)
        ndcg = {}
        for model in models:
            ranker, trials = MODELS[model]
            valid = [
                evaluate(ranker(fit_data, sizes, split, **trial), fit_data, valid_data)[0]["ndcg"]
                for trial in trials
            ]
            chosen = max(range(len(trials)), key=valid.__getitem__)
            start = time.process_time()
            scores = ranker(train_data, sizes, split, **trials[chosen])
            seconds = time.process_time() - start
            metrics, ndcg[model] = evaluate(scores, train_data, test_data)
            rows.append(
                {"protocol": protocol, "split": split, "model": model, "trials": len(trials)}
                | {"chosen": json.dumps(trials[chosen]), "valid_ndcg": valid[chosen]}
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
