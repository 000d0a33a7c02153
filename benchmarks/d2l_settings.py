"""MF and AutoRec with d2l's settings on the same splits, for the chapters `mf` and `autorec`.

    python benchmarks/d2l_settings.py

Writes `autorec_d2l/results/d2l_settings.csv`: the RMSE, unclipped, after the last epoch on five
random 90/10 splits and on each user's last rating. The epochs of "MF with mean, stopped" are chosen
on a validation tenth of the training part (seed 1000 + seed of the split); then it is trained again
on the whole training part.
"""

import pandas as pd
from provenance import write_results
from tqdm import tqdm

import autorec_d2l as d2l
from autorec_d2l.experiments import D2L, fit_autorec, fit_mf

SPLITS = range(5)
MOST_EPOCHS = 8  # of MF with mean while it is validated: its best epoch lies before


def main():
    """Train all models and write the file."""
    data, *sizes = d2l.read_data_ml100k()
    mf_epochs, autorec_epochs = (D2L[name]["num_epochs"] for name in ("MF", "AutoRec"))
    runs = []

    def run(split_mode, split, model, parts, fit, num_epochs, **settings):
        last = fit(*parts, sizes, num_epochs, split, **settings).history.iloc[-1]
        errors = last["train_rmse"].round(6), last["test_rmse"].round(6)
        runs.append((split_mode, split, model, num_epochs, *errors))

    for split in tqdm(SPLITS):
        parts = d2l.split_data_ml100k(data, *sizes, "random", seed=split)
        run("random", split, "MF", parts, fit_mf, mf_epochs)
        validation = d2l.split_data_ml100k(parts[0], *sizes, "random", seed=1000 + split)
        curve = fit_mf(*validation, sizes, MOST_EPOCHS, split, with_mean=True).history.test_rmse
        chosen = int(curve.idxmin())
        if chosen == MOST_EPOCHS:
            raise RuntimeError("the best epoch is the last one: raise MOST_EPOCHS")
        run("random", split, "MF with mean, stopped", parts, fit_mf, chosen, with_mean=True)
        run("random", split, "AutoRec", parts, fit_autorec, autorec_epochs)
    parts = d2l.split_data_ml100k(data, *sizes, "seq-aware")
    run("seq-aware", 0, "MF", parts, fit_mf, mf_epochs)
    run("seq-aware", 0, "MF with mean", parts, fit_mf, mf_epochs, with_mean=True)
    columns = ["split_mode", "split", "model", "epochs", "train_rmse", "test_rmse"]
    write_results(pd.DataFrame(runs, columns=columns), "d2l_settings.csv")


if __name__ == "__main__":
    main()
