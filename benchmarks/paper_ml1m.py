"""AutoRec on MovieLens-1M as in the paper: both models, the widths, the activations, a deep net.

    AUTOREC_D2L_DATA=PATH python benchmarks/paper_ml1m.py [--processes 2]

`PATH` holds `ml-1m/ratings.dat`, where GroupLens' server cannot be reached. Five random 90/10
splits, none of which was used to choose the trials. On each of them every model gets three
trials on a validation part of the training part (of the penalty and the learning rate, unless it
says otherwise), is fitted to the whole of it with the best, and then reads the test ratings once.
Predictions are clipped to 1 to 5 stars. A process trains on one thread.

Writes `autorec_d2l/results/paper_ml1m.csv`, one row per model and split: its part, RMSE and
MAE in stars, CPU seconds of the training, its number of epochs, its settings and the trials that it
chose from; and `paper_ml1m_trials.csv`, one row per trial.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pandas as pd
import torch
from provenance import options_of, write_results
from tqdm import tqdm
from tuning import tune_and_test

import autorec_d2l as d2l
from autorec_d2l import experiments
from autorec_d2l.data.rating_scale import STARS
from autorec_d2l.experiments.results import as_json

SPLITS = range(3, 8)  # 0 to 2 were used to find the trials
PAPER = {"dropout": 0.0, "init": "mean", "batch_size": 512, "one_cycle": True}
PAPER |= {"decay_biases": False}


def fit_paper(train_data, held_out, sizes, num_epochs, seed, *, penalty, warm=False, **settings):
    """Fit AutoRec to the paper's objective: half the sum of squares, and half of `penalty`."""
    # The loss of a batch is a mean over all its cells, and so has to be the penalty.
    wd = penalty / (sizes[0] * sizes[1])
    if warm:
        start = partial(experiments.warm_start, wd=wd, lr=0.002, batch_size=512, num_epochs=15)
        settings |= {"init": start}
    return experiments.fit_autorec(train_data, held_out, sizes, num_epochs, seed, wd=wd, **settings)


def trials(*pairs, num_epochs=25):
    """Return trials of `(penalty, lr)`; the penalty is the paper's lambda."""
    return [{"num_epochs": num_epochs, "penalty": penalty, "lr": lr} for penalty, lr in pairs]


CELLS = trials((1000, 0.0005), (2000, 0.0005), (4000, 0.0005))
MF = {"with_mean": True, "batch_size": 4096, "lr": 0.003}
DEEP = {"more_hidden": [250, 500], "warm": True}
MODELS = {  # part, model: how it is fitted, settings, trials
    ("models", "biases"): (experiments.fit_biases, {}, [{"damping": d} for d in (2.0, 5.0, 10.0)]),
    ("models", "MF"): (
        experiments.fit_mf,
        MF,
        [{"num_epochs": 20, "wd": wd} for wd in (2e-5, 4e-5, 8e-5)],
    ),
    ("models", "I-AutoRec"): (
        fit_paper,
        PAPER,
        trials((30, 0.002), (60, 0.002), (100, 0.002)),
    ),
    ("models", "U-AutoRec"): (
        fit_paper,
        PAPER | {"user_based": True},
        trials((100, 0.002), (150, 0.002), (250, 0.002)),
    ),
    ("models", "deep 500-250-500"): (
        fit_paper,
        PAPER | DEEP,
        trials((30, 0.001), (60, 0.001), (100, 0.001)),
    ),
    ("widths", "50"): (
        fit_paper,
        PAPER | {"num_hidden": 50},
        trials((60, 0.005), (60, 0.01), (60, 0.02)),
    ),
    ("widths", "100"): (
        fit_paper,
        PAPER | {"num_hidden": 100},
        trials((60, 0.005), (60, 0.01), (60, 0.02)),
    ),
    ("widths", "200"): (
        fit_paper,
        PAPER | {"num_hidden": 200},
        trials((60, 0.002), (60, 0.005), (60, 0.01)),
    ),
    ("activations", "identity/identity"): (fit_paper, PAPER | {"activation": "identity"}, CELLS),
    ("activations", "sigmoid/identity"): (
        fit_paper,
        PAPER | {"activation": "identity", "output": "bounded"},
        CELLS,
    ),
    ("activations", "sigmoid/sigmoid"): (
        fit_paper,
        PAPER | {"output": "bounded"},
        trials((30, 0.002), (60, 0.002), (100, 0.002)),
    ),
}
AVERAGE = ["I-AutoRec", "U-AutoRec"]


def main():
    """Run the splits side by side, and write the files as they come in."""
    parser = options_of(__doc__)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    results, tried = [], []
    with ProcessPoolExecutor(options.processes) as pool:
        for rows, more in tqdm(pool.map(run_split, SPLITS), total=len(SPLITS), unit="split"):
            results += rows
            tried += more
            write_results(pd.DataFrame(results), "paper_ml1m.csv", data=("ml-1m",))
            write_results(pd.DataFrame(tried), "paper_ml1m_trials.csv", data=("ml-1m",))
    print(pd.DataFrame(results).groupby(["part", "model"])["rmse"].agg(["mean", "std", "count"]))


def run_split(split):
    """Return the rows of one split."""
    torch.set_num_threads(1)
    parts = experiments.split_parts(d2l.read_data_ml1m(), "random", split)
    rows, tried, outcomes = [], [], {}
    for (part, model), (fit, settings, of_model) in MODELS.items():
        outcome = tune_and_test(
            fit, of_model, parts, seed=split, clip=STARS, with_valid=model in AVERAGE, **settings
        )
        outcomes[model] = outcome
        tried += [
            {"model": model, "split": split} | r for r in outcome.choice.tried.to_dict("records")
        ]
        scores = {"rmse": outcome.test_rmse, "mae": outcome.test_mae}
        chosen = settings | outcome.choice.trial
        rows.append(
            {"part": part, "model": model, "split": split, **scores}
            | {"cpu_seconds": outcome.cpu_seconds, "epochs": outcome.choice.num_epochs}
            | {"settings": as_json(chosen), "trials": as_json(of_model)}
        )
    members = {model: outcomes[model] for model in AVERAGE}
    on_valid = {model: outcome.valid_stars for model, outcome in members.items()}
    weights = experiments.fit_weights(on_valid, parts.valid_data)
    stars = experiments.mix({model: of.test_stars for model, of in members.items()}, weights)
    rows.append(
        {"part": "models", "model": "average", "split": split}
        | experiments.score(stars, parts.test_data)
        | {"cpu_seconds": sum(outcome.cpu_seconds for outcome in members.values()), "epochs": 0}
        | {"settings": as_json(weights.round(4).to_dict())}
    )
    return rows, tried


if __name__ == "__main__":
    main()
