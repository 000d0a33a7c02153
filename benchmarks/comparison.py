"""Compare twenty-one models on eleven splits of MovieLens-100K under one protocol.

    python benchmarks/comparison.py [--processes 2]

Five random 90/10 splits, GroupLens' five folds, and leave-last-out. On each split every model that
has settings to choose gets three trials on a validation part of the training ratings; the best one
is fitted to the whole training part, and only then are the test ratings read, once. Where a trial
names no number of epochs, the best epoch up to a limit is chosen on the validation part, too.
Averages and the blend get their weights there. Predictions are clipped to 1 to 5 stars. Needs
scikit-surprise and myfm; a process trains on one thread.

Writes into `autorec_d2l/results/`:

- `comparison.csv`, one row per model and split: its family and number of trials, RMSE and MAE in
  stars, CPU seconds of the last training (the sum over the members of an average), and the epochs
  and settings that were chosen, or the weights;
- `comparison_trials.csv`, one row per trial: its settings, epochs and RMSE on the validation part;
- `comparison_users.csv`, one row per test rating of leave-last-out, one per user: the squared
  error of every model.
"""

import time
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import pandas as pd
import torch
from external_models import PACKAGES, fit_myfm, fit_surprise
from linear_autoencoder import fit_linear_autoencoder
from provenance import options_of, write_results
from tqdm import tqdm
from tuning import refit, tune_and_test

import autorec_d2l as d2l
from autorec_d2l import experiments
from autorec_d2l.data.rating_scale import STARS
from autorec_d2l.experiments.results import as_json

SPLITS = [
    *[("random", "random", split) for split in range(5)],
    *[("folds", f"u{split}", split) for split in range(1, 6)],
    ("leave-last-out", "seq-aware", 0),
]


class Model(NamedTuple):
    """What is fitted: settings that all trials share, trials, and the limit of open epochs."""

    family: str
    fit: object
    shared: dict
    trials: list
    num_epochs: int = 0


def als(reg_i, reg_u):
    """Return settings of Surprise's baselines."""
    return {"bsl_options": {"method": "als", "n_epochs": 10, "reg_i": reg_i, "reg_u": reg_u}}


def knn(k, shrinkage):
    """Return settings of Surprise's item-based neighbours."""
    options = {"name": "pearson_baseline", "user_based": False, "shrinkage": shrinkage}
    return {"k": k, "sim_options": options}


def open_epochs(name):
    """Return d2l's settings of a model without its number of epochs."""
    return {key: value for key, value in experiments.D2L[name].items() if key != "num_epochs"}


ITEM, USER, MF = "AutoRec, improved", "AutoRec, user-based", "MF with global mean, tuned"
LINEAR, KNN, SVDPP = "linear autoencoder", "Surprise KNNBaseline, item-based", "Surprise SVD++"
BAYES, TUNED = "Bayesian factorisation (myfm)", "AutoRec, tuned"
MODELS = {
    "global mean": Model("baselines", experiments.fit_mean, {}, []),
    "user and item biases": Model(
        "baselines",
        experiments.fit_biases,
        {},
        [{"damping": damping} for damping in (2.0, 5.0, 10.0)],
    ),
    "Surprise BaselineOnly": Model(
        "baselines",
        fit_surprise,
        {"algorithm": "BaselineOnly"},
        [als(10, 15), als(3, 5), als(2, 3)],  # the first is Surprise's own
    ),
    LINEAR: Model(
        "neighbours",
        fit_linear_autoencoder,
        {},
        [{"penalty": penalty} for penalty in (100.0, 300.0, 1000.0)],
    ),
    KNN: Model(
        "neighbours",
        fit_surprise,
        {"algorithm": "KNNBaseline"},
        [knn(40, 100), knn(20, 300), knn(40, 300)],
    ),
    "Surprise SVD": Model(
        "factors",
        fit_surprise,
        {"algorithm": "SVD"},
        [
            {"num_epochs": 20, "lr_all": 0.005, "reg_all": 0.02},  # Surprise's own
            {"num_epochs": 30, "lr_all": 0.01, "reg_all": 0.1},
            {"num_epochs": 50, "lr_all": 0.01, "reg_all": 0.1},
        ],
    ),
    SVDPP: Model(
        "factors",
        fit_surprise,
        {"algorithm": "SVDpp", "cache_ratings": True},
        [
            {"n_factors": 20, "num_epochs": 20, "lr_all": 0.007, "reg_all": 0.02},  # its own
            {"n_factors": 10, "num_epochs": 20, "lr_all": 0.01, "reg_all": 0.05},
            {"n_factors": 20, "num_epochs": 30, "lr_all": 0.007, "reg_all": 0.05},
        ],
    ),
    BAYES: Model(
        "factors",
        fit_myfm,
        {},
        [
            {"num_epochs": 100, "rank": 8},
            {"num_epochs": 100, "rank": 8, "implicit": True},
            {"num_epochs": 100, "rank": 16, "implicit": True},
        ],
    ),
    "MF, d2l's settings": Model("MF", experiments.fit_mf, {}, [experiments.D2L["MF"]]),
    "MF, d2l's settings, stopped on validation": Model(
        "MF", experiments.fit_mf, {}, [open_epochs("MF")], 40
    ),
    MF: Model(
        "MF",
        experiments.fit_mf,
        {"with_mean": True},
        [
            {"wd": 1e-4, "batch_size": 512, "lr": 0.002},
            {"wd": 1.5e-4, "batch_size": 512, "lr": 0.002},
            {"wd": 1.5e-4, "batch_size": 1024, "lr": 0.004},
        ],
        25,
    ),
    "AutoRec, d2l's settings": Model(
        "AutoRec", experiments.fit_autorec, {}, [experiments.D2L["AutoRec"]]
    ),
    "AutoRec, d2l's settings, stopped on validation": Model(
        "AutoRec", experiments.fit_autorec, {}, [open_epochs("AutoRec")], 100
    ),
    TUNED: Model(
        "AutoRec",
        experiments.fit_autorec,
        {"init": "mean", "lr": 0.001},
        [
            {"dropout": 0.05, "input_dropout": 0.0},
            {"dropout": 0.3, "input_dropout": 0.0},
            {"dropout": 0.3, "input_dropout": 0.3},
        ],
        60,
    ),
    USER: Model(
        "AutoRec",
        experiments.fit_autorec,
        {"user_based": True, "subtract_means": True},
        [
            {"dropout": 0.05, "input_dropout": 0.0},
            {"dropout": 0.3, "input_dropout": 0.3},
            {"dropout": 0.3, "input_dropout": 0.5, "batch_size": 64, "lr": 0.003}
            | {"one_cycle": True, "num_epochs": 30},
        ],
        40,
    ),
    ITEM: Model(
        "AutoRec",
        experiments.fit_autorec,
        {"output": "bounded", "one_cycle": True, "init": "mean"},
        [
            {"num_epochs": 30, "dropout": 0.5, "input_dropout": 0.5, "lr": 0.003},
            {"num_epochs": 30, "dropout": 0.5, "input_dropout": 0.5, "lr": 0.004},
            {"num_epochs": 60, "dropout": 0.5, "input_dropout": 0.5, "lr": 0.003},
        ],
    ),
}
MEMBERS = {MF: 3, ITEM: 3, USER: 3}  # how often a model is trained, from other seeds
AVERAGES = {  # name: family, and how many members of which models; their weights are fitted
    "MF ensemble": ("averages", {MF: 3}),
    "AutoRec ensemble": ("averages", {ITEM: 3}),
    "average, one and one": ("averages", {ITEM: 1, USER: 1}),
    "average, three and three": ("averages", {ITEM: 3, USER: 3}),
    "blend": ("blend", {LINEAR: 1, KNN: 1, SVDPP: 1, BAYES: 1, TUNED: 1, MF: 3, ITEM: 3, USER: 3}),
}


class Member(NamedTuple):
    """The predictions of one training, and what it cost."""

    valid_stars: torch.Tensor
    test_stars: torch.Tensor
    cpu_seconds: float


def main():
    """Run the splits side by side, and write the files as they come in."""
    parser = options_of(__doc__)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    tables = {"comparison": [], "comparison_trials": [], "comparison_users": []}
    with ProcessPoolExecutor(options.processes) as pool:
        done = pool.map(run_split, *zip(*SPLITS, strict=True))
        for parts in tqdm(done, total=len(SPLITS), unit="split"):
            for (name, rows), more in zip(tables.items(), parts, strict=True):
                rows += more
                if rows:
                    write_results(pd.DataFrame(rows), f"{name}.csv", PACKAGES)
    rows = pd.DataFrame(tables["comparison"])
    print(rows.pivot_table(index="model", columns="protocol", values="rmse"))


def run_split(protocol, mode, split):
    """Return the rows of the three files for one split."""
    torch.set_num_threads(1)
    parts = experiments.split_parts(d2l.read_data_ml100k(), mode, split)
    where = {"protocol": protocol, "split": split}
    rows, tried, members, stars = [], [], {}, {}
    for name, model in MODELS.items():
        outcome, members[name] = run_model(name, model, parts, split)
        stars[name] = outcome.test_stars
        rows.append(where | {"model": name, "family": model.family} | describe(model, outcome))
        tried += [where | {"model": name} | row for row in outcome.choice.tried.to_dict("records")]
    for name, (family, of) in AVERAGES.items():
        chosen = {model: members[model][:count] for model, count in of.items()}
        stars[name], row = average(chosen, parts)
        rows.append(where | {"model": name, "family": family} | row)
    users = []
    if protocol == "leave-last-out":
        ratings = torch.tensor(parts.test_data["rating"].to_numpy())
        errors = {name: (of_model - ratings).square().tolist() for name, of_model in stars.items()}
        users = pd.DataFrame(errors).to_dict("records")
    return rows, tried, users


def run_model(name, model, parts, seed):
    """Return the outcome of the protocol, and the members that averages may ask for."""
    count = max(of.get(name, 0) for _, of in AVERAGES.values())
    outcome = tune_and_test(
        model.fit,
        model.trials,
        parts,
        model.num_epochs,
        seed,
        clip=STARS,
        with_valid=count > 0,
        **model.shared,
    )
    members = [Member(outcome.valid_stars, outcome.test_stars, outcome.cpu_seconds)]
    for extra in range(1, count):
        stars, start = [], time.process_time()
        tables = (parts.fit_data, parts.valid_data), (parts.train_data, parts.test_data)
        for table, asked in tables:
            start = time.process_time()
            fitted = refit(
                model.fit, outcome.choice, table, parts.sizes, seed + 100 * extra, **model.shared
            )
            stars.append(STARS.clip(fitted.predict(asked)))
        members.append(Member(*stars, time.process_time() - start))
    return outcome, members


def describe(model, outcome):
    """Return what the file says of a model, beside where it was fitted."""
    chosen = model.shared | outcome.choice.trial | {"num_epochs": outcome.choice.num_epochs}
    return {
        "trials": len(model.trials) if len(outcome.choice.tried) else 0,
        "rmse": outcome.test_rmse,
        "mae": outcome.test_mae,
        "cpu_seconds": outcome.cpu_seconds,
        "epochs": outcome.choice.num_epochs,
        "settings": as_json(chosen),
    }


def average(members, parts):
    """Return predictions for the test part, weighted as the validation part asks, and a row.

    `members` maps a model to its members, which share its weight.
    """
    on_valid, on_test = (
        {
            model: torch.stack([getattr(m, part) for m in of]).mean(0)
            for model, of in members.items()
        }
        for part in ("valid_stars", "test_stars")
    )
    weights = experiments.fit_weights(on_valid, parts.valid_data)
    stars = experiments.mix(on_test, weights)
    return stars, {
        "trials": 0,
        **experiments.score(stars, parts.test_data),
        "cpu_seconds": sum(member.cpu_seconds for of in members.values() for member in of),
        "epochs": 0,
        "settings": as_json(weights.round(4).to_dict()),
    }


if __name__ == "__main__":
    main()
