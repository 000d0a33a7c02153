"""Ranking metrics of six models on five splits of MovieLens-100K.

    python benchmarks/ranking.py

On each random 90/10 split every model gets three trials. The one with the highest NDCG at 10 on a
validation tenth of the training part is fitted to the whole training part, and only then are the
test ratings read, once. A film is *relevant* if its held-out rating is 4 or 5 stars; candidates are
all films that the user has not rated in training; users without a relevant film are left out.

Writes `autorec_d2l/results/ranking.csv`, one row per model and split: precision, recall and NDCG
at 10, coverage, mean popularity, RMSE in stars where scores are stars, the chosen settings. One
thread.
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
MODELS = {
    "popularity": (
        ranking_models.rank_popularity,
        [{"min_rating": 1}, {"min_rating": 4}, {"min_rating": 5}],
    ),
    "MF": (
        ranking_models.rank_mf,
        [
            {"batch_size": 1024, "lr": 0.004, **trial}
            for trial in (
                {"num_epochs": 10},
                {"num_epochs": 10, "wd": 3e-4},
                {"num_epochs": 20, "wd": 1e-4},
            )
        ],
    ),
    "AutoRec": (
        ranking_models.rank_autorec,
        [{"num_epochs": 25}, {"num_epochs": 50}, {"num_epochs": 50, "dropout": 0.3}],
    ),
    "AutoRec without its mask": (
        ranking_models.rank_autorec,
        [{"num_epochs": epochs, "mask": False} for epochs in (15, 25, 40)],
    ),
    "EASE": (
        ranking_models.rank_ease,
        [{"wd": 200, "min_rating": 4}, {"wd": 500, "min_rating": 4}, {"wd": 500, "min_rating": 1}],
    ),
    "Mult-VAE": (
        ranking_models.rank_mult_vae,
        [
            {"num_epochs": 30, "min_rating": 4},
            {"num_epochs": 60, "min_rating": 4},
            {"num_epochs": 30, "min_rating": 1},
        ],
    ),
}


def main():
    """Run model by model on each split, and write the file as rows come in."""
    torch.set_num_threads(1)
    data, *sizes = d2l.read_data_ml100k()
    sizes, rows = tuple(sizes), []
    for split, model in tqdm([(split, model) for split in range(5) for model in MODELS]):
        train_data, test_data = d2l.split_data_ml100k(data, *sizes, "random", 0.1, seed=split)
        fit_data, valid_data = d2l.split_data_ml100k(
            train_data, *sizes, "random", 0.1, seed=1000 + split
        )
        ranker, trials = MODELS[model]
        valid = [
            evaluate(ranker(fit_data, sizes, split, **trial), fit_data, valid_data)["ndcg"]
            for trial in trials
        ]
        chosen = max(range(len(trials)), key=valid.__getitem__)
        start = time.process_time()
        scores = ranker(train_data, sizes, split, **trials[chosen])
        seconds = time.process_time() - start
        rows.append(
            {"model": model, "split": split, "trials": len(trials)}
            | {"chosen": json.dumps(trials[chosen]), "valid_ndcg": valid[chosen]}
            | evaluate(scores, train_data, test_data)
            | {"rmse": rmse(scores, test_data) if model in IN_STARS else None}
            | {"cpu_seconds": seconds}
        )
        write_results(pd.DataFrame(rows), "ranking.csv")
    print(pd.DataFrame(rows).groupby("model", sort=False).mean(numeric_only=True))


def evaluate(scores, train_data, held_out):
    """Return the metrics of the lists, means over the users who have something to find."""
    seen = user_item_matrix(train_data, scores.shape)
    lists = top_lists(scores, seen)
    metrics = ranking_metrics(lists, user_item_matrix(held_out, scores.shape, LIKED))
    return (
        metrics.mean().to_dict()
        | coverage_and_popularity(lists, seen.sum(0))
        | {"users": len(metrics)}
    )


def rmse(scores, held_out):
    """Return the RMSE of scores that are stars."""
    users, items, stars, _ = d2l.load_data_ml100k(held_out, *scores.shape)
    return d2l.rmse(scores[users, items], stars)


if __name__ == "__main__":
    main()
