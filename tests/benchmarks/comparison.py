"""One table, one protocol: fourteen models on eleven splits of MovieLens-100K.

    python tests/benchmarks/comparison.py [--processes 2]

Five random 90/10 splits, GroupLens' five folds, and leave-last-out. On each split every model that
has settings to choose gets the same number of trials on a validation part of the training ratings;
the best trial is fitted to the whole training part, and only then are the test ratings read, once.
A trial names its number of epochs: no training is stopped by looking. Predictions are clipped to
1 to 5 stars. Needs scikit-surprise; a process trains on one thread.

Writes into `autorec_d2l/results/`:

- `comparison.csv`, a row a model and split: RMSE and MAE in stars, CPU seconds of the last
  training (the sum over the members of an average), and the settings that were chosen;
- `comparison_trials.csv`, a row a trial: its settings and its RMSE on the validation part.
"""

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor

import pandas as pd
import surprise
import torch
from provenance import write_results
from tqdm import tqdm

import autorec_d2l as d2l
from autorec_d2l import fit_autorec, fit_biases, fit_dense_autorec, fit_mean, fit_mf, study

SPLITS = [
    *[("random", "random", split) for split in range(5)],
    *[("folds", f"u{split}", split) for split in range(1, 6)],
    ("leave-last-out", "seq-aware", 0),
]
PACKAGES = ("torch", "numpy", "scikit-surprise")
ITEM, USER = "AutoRec, improved", "AutoRec, user-based"
WEIGHTS = [step / 20 for step in range(21)]  # of the item-based model in an average


def fit_surprise(train_data, held_out, sizes, num_epochs, seed, *, algorithm, **settings):
    """Fit an algorithm of Surprise by its name; with 0 epochs, one that has none."""
    table = train_data[["user_id", "item_id", "rating"]]
    reader = surprise.Reader(rating_scale=(1, 5))
    ratings = surprise.Dataset.load_from_df(table, reader).build_full_trainset()
    if num_epochs:
        settings |= {"n_epochs": num_epochs, "random_state": seed}
    model = getattr(surprise, algorithm)(**settings, verbose=False).fit(ratings)

    def predict(table):
        pairs = zip(table["user_id"], table["item_id"], strict=True)
        return torch.tensor([model.predict(*pair).est for pair in pairs], dtype=torch.float32)

    return study.Fit(pd.DataFrame(), predict, 0)


def trials(common, *differences):
    """Return three settings: what they share, and what differs."""
    assert len(differences) == 3, "every model gets the same number of trials"
    return [common | difference for difference in differences]


def als(reg_i, reg_u):
    return {"bsl_options": {"method": "als", "n_epochs": 10, "reg_i": reg_i, "reg_u": reg_u}}


def knn(k, shrinkage):
    options = {"name": "pearson_baseline", "user_based": False, "shrinkage": shrinkage}
    return {"k": k, "sim_options": options}


# A model with nothing to choose has one entry, which is not tried out.
MODELS = {
    "global mean": (fit_mean, [{}]),
    "user and item biases": (
        fit_biases,
        trials({}, {"damping": 2.0}, {"damping": 5.0}, {"damping": 10.0}),
    ),
    "Surprise BaselineOnly": (
        fit_surprise,
        trials({"algorithm": "BaselineOnly"}, als(10, 15), als(3, 5), als(2, 3)),
    ),
    "Surprise KNNBaseline, item-based": (
        fit_surprise,
        trials({"algorithm": "KNNBaseline"}, knn(40, 100), knn(20, 100), knn(40, 300)),
    ),
    "Surprise SVD": (
        fit_surprise,
        trials(
            {"algorithm": "SVD"},
            {"num_epochs": 20, "lr_all": 0.005, "reg_all": 0.02},  # Surprise's own
            {"num_epochs": 30, "lr_all": 0.01, "reg_all": 0.1},
            {"num_epochs": 50, "lr_all": 0.01, "reg_all": 0.1},
        ),
    ),
    "Surprise SVD++": (
        fit_surprise,
        trials(
            {"algorithm": "SVDpp", "n_factors": 10, "num_epochs": 20, "cache_ratings": True},
            {"lr_all": 0.007, "reg_all": 0.02},  # Surprise's own
            {"lr_all": 0.01, "reg_all": 0.05},
            {"lr_all": 0.01, "reg_all": 0.1},
        ),
    ),
    "MF, d2l's settings": (fit_mf, [{"num_epochs": 20}]),
    "MF with global mean, tuned": (
        fit_mf,
        trials(
            {"subtract_means": True},
            {"num_epochs": 6},
            {"num_epochs": 16, "wd": 1e-4},
            {"num_epochs": 16, "wd": 1.5e-4, "batch_size": 1024, "lr": 0.004},
        ),
    ),
    "AutoRec, d2l's settings": (fit_dense_autorec, [{"num_epochs": 25}]),
    "AutoRec, tuned": (
        fit_autorec,
        trials(
            {"init": "mean", "lr": 0.001},
            {"num_epochs": 15},
            {"num_epochs": 20},
            {"num_epochs": 25, "dropout": 0.3},
        ),
    ),
    USER: (
        fit_autorec,
        trials(
            {"user_based": True, "subtract_means": True, "one_cycle": True, "batch_size": 64}
            | {"wd": 2.2e-5, "dropout": 0.3, "input_dropout": 0.5, "lr": 0.003},
            {"num_epochs": 30},
            {"num_epochs": 20},
            {"num_epochs": 20, "input_dropout": 0.3, "lr": 0.004},
        ),
    ),
    ITEM: (
        fit_autorec,
        trials(
            {"output": "bounded", "dropout": 0.5, "input_dropout": 0.5},
            {"num_epochs": 20, "dropout": 0.3, "input_dropout": 0.3},
            {"num_epochs": 30, "one_cycle": True, "lr": 0.004},
            {"num_epochs": 30, "one_cycle": True, "lr": 0.003, "init": "mean"},
        ),
    ),
}


def main():
    """Run the splits side by side, and write both files as they come in."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    results, tried = [], []
    with ProcessPoolExecutor(options.processes) as pool:
        done = pool.map(run_split, *zip(*SPLITS, strict=True))
        for rows, trial_rows in tqdm(done, total=len(SPLITS), unit="split"):
            results += rows
            tried += trial_rows
            write_results(pd.DataFrame(results), "comparison.csv", PACKAGES)
            write_results(pd.DataFrame(tried), "comparison_trials.csv", PACKAGES)
    print(pd.DataFrame(results).pivot_table(index="model", columns="protocol", values="rmse"))


def run_split(protocol, mode, split):
    """Return the rows of the two files for one split."""
    torch.set_num_threads(1)
    data, *sizes = d2l.read_data_ml100k()
    train, test = d2l.split_data_ml100k(data, *sizes, mode, 0.1, seed=split)
    part, valid = d2l.split_data_ml100k(train, *sizes, "random", 0.1, seed=1000 + split)
    where = {"protocol": protocol, "split": split}
    chosen, on_valid, tried = {}, {}, []
    for model, (_, settings) in MODELS.items():
        chosen[model], on_valid[model], rows = choose(model, settings, part, valid, sizes, split)
        tried += [where | row for row in rows]
    rows, members = [], {}
    for model, settings in chosen.items():
        for member in range(3 if model in (ITEM, USER) else 1):
            seed = split + 100 * member
            members[model, member] = fit_and_predict(model, train, test, sizes, seed, settings)
        stars, seconds = members[model, 0]
        rows.append(row(model, stars, test, seconds, settings))
    weight = min(
        WEIGHTS, key=lambda w: errors(mix(w, on_valid[ITEM], on_valid[USER]), valid)["rmse"]
    )
    for count, name in ((1, "one and one"), (3, "three and three")):
        item, user = ([members[model, i] for i in range(count)] for model in (ITEM, USER))
        stars = mix(
            weight, mean_of(stars for stars, _ in item), mean_of(stars for stars, _ in user)
        )
        seconds = sum(seconds for _, seconds in item + user)
        rows.append(row(f"average, {name}", stars, test, seconds, {"weight": weight}))
    return [where | row for row in rows], tried


def choose(model, settings, part, valid, sizes, seed):
    """Try settings out; return the best, its predictions for the validation part, and rows."""
    if len(settings) == 1:
        return settings[0], None, []
    best, rows = None, []
    for trial in settings:
        stars, _ = fit_and_predict(model, part, valid, sizes, seed, trial)
        rmse = errors(stars, valid)["rmse"]
        rows.append({"model": model, "settings": json.dumps(trial), "valid_rmse": rmse})
        if best is None or rmse < best[0]:
            best = rmse, trial, stars
    return *best[1:], rows


def fit_and_predict(model, train, held_out, sizes, seed, settings):
    """Return predictions for `held_out`, clipped, and the CPU seconds of the training."""
    settings = dict(settings)
    start = time.process_time()
    # The held-out ratings are not handed over: no fit can look at them.
    fit = MODELS[model][0](train, None, sizes, settings.pop("num_epochs", 0), seed, **settings)
    seconds = time.process_time() - start
    return fit.predict(held_out).clamp(1, 5), seconds


def errors(stars, table):
    """Return RMSE and MAE in stars."""
    pairs = [(stars, torch.tensor(table["rating"].to_numpy(), dtype=torch.float32))]
    return {"rmse": d2l.masked_rmse(pairs), "mae": masked_mae(pairs)}


def row(model, stars, test, seconds, settings):
    return {
        "model": model,
        **errors(stars, test),
        "cpu_seconds": seconds,
        "settings": json.dumps(settings),
    }


def mix(weight, item, user):
    return weight * item + (1 - weight) * user


def mean_of(predictions):
    return torch.stack(list(predictions)).mean(0)


if __name__ == "__main__":
    main()
