"""Are three trials enough? Best validation and test error against the number of trials.

    python benchmarks/comparison_budget.py [--processes 2]

For AutoRec, matrix factorization and SVD++ thirty trials are drawn from the ranges below, with a
fixed seed and the same for the first three random splits of MovieLens-100K. Of the first 3, the
first 10 and all 30, the best on the validation part is fitted to the whole training part, and only
it reads the test ratings. A process trains on one thread; needs scikit-surprise.

Writes `autorec_d2l/results/comparison_budget.csv`, one row per model, split and number of trials:
`valid_rmse, test_rmse` (stars, unclipped), the epochs and the settings chosen, and the CPU seconds
of all trials up to there.
"""

import time
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np
import pandas as pd
import torch
from external_models import PACKAGES, fit_surprise
from provenance import options_of, write_results
from tuning import refit, tune

import autorec_d2l as d2l
from autorec_d2l import experiments
from autorec_d2l.experiments.results import as_json

SPLITS = range(3)
BUDGETS = (3, 10, 30)


def draw_autorec(random):
    """Draw settings of AutoRec."""
    return {
        "lr": log_uniform(random, 0.0005, 0.004),
        "wd": log_uniform(random, 3e-6, 1e-4),
        "dropout": random.choice([0.0, 0.1, 0.3, 0.5]),
        "input_dropout": random.choice([0.0, 0.1, 0.3, 0.5]),
        "num_hidden": random.choice([200, 300, 500]),
        "init": random.choice(["zero", "mean"]),
    }


def draw_mf(random):
    """Draw settings of MF."""
    return {
        "lr": log_uniform(random, 0.002, 0.01),
        "wd": log_uniform(random, 3e-5, 5e-4),
        "num_factors": random.choice([10, 20, 30, 50]),
        "batch_size": random.choice([1024, 2048]),
    }


def draw_svdpp(random):
    """Draw settings of SVD++."""
    return {
        "lr_all": log_uniform(random, 0.003, 0.015),
        "reg_all": log_uniform(random, 0.02, 0.15),
        "n_factors": random.choice([5, 10, 20]),
        "num_epochs": random.choice([10, 15, 20]),
    }


def log_uniform(random, low, high):
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


MODELS = {  # how it is fitted, how a trial is drawn, settings of all, the most epochs
    "AutoRec": (experiments.fit_autorec, draw_autorec, {}, 60),
    "MF": (experiments.fit_mf, draw_mf, {"with_mean": True}, 25),
    "SVD++": (fit_surprise, draw_svdpp, {"algorithm": "SVDpp", "cache_ratings": True}, 0),
}


def main():
    """Run models and splits side by side, and write the file."""
    parser = options_of(__doc__)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    rows = []
    with ProcessPoolExecutor(options.processes) as pool:
        for more in pool.map(run_model, *zip(*product(SPLITS, MODELS), strict=True)):
            rows += more
            write_results(pd.DataFrame(rows), "comparison_budget.csv", PACKAGES)


def run_model(split, model):
    """Return three rows: the best of 3, of 10 and of 30 trials on one split."""
    torch.set_num_threads(1)
    parts = experiments.split_parts(d2l.read_data_ml100k(), "random", split)
    fit, draw, settings, num_epochs = MODELS[model]
    random = np.random.RandomState(0)
    trials = [draw(random) for _ in range(max(BUDGETS))]
    start, best, rows = time.process_time(), None, []
    for low, high in zip((0, *BUDGETS), BUDGETS, strict=False):
        choice = tune(fit, trials[low:high], parts, num_epochs, split, **settings)
        if best is None or choice.valid_rmse < best.valid_rmse:
            best = choice
            fitted = refit(fit, best, parts.train_data, parts.sizes, split, **settings)
            test_rmse = experiments.score(fitted.predict(parts.test_data), parts.test_data)["rmse"]
        rows.append(
            {"model": model, "split": split, "trials": high, "valid_rmse": best.valid_rmse}
            | {"test_rmse": test_rmse, "epochs": best.num_epochs}
            | {"cpu_seconds": time.process_time() - start, "settings": as_json(best.trial)}
        )
    return rows


if __name__ == "__main__":
    main()
