"""How much longer training is worth on MovieLens-1M: AutoRec, and AutoRec with 50 hidden units.

    AUTOREC_D2L_DATA=PATH python benchmarks/paper_ml1m_epochs.py [--processes 2]

Takes what `paper_ml1m.py` chose for a model on each of its five splits and changes the number of
epochs, nothing else; nothing is chosen here. The deep network of `paper_ml1m.py` has more training
behind it than AutoRec, and narrow networks are slow: this measures both. Predictions are clipped
to 1 to 5 stars. A process trains on one thread.

Writes `autorec_d2l/results/paper_ml1m_epochs.csv`, one row per model, epochs and split.
"""

import json
import time

import pandas as pd
import torch
from paper_ml1m import SPLITS, fit_paper
from provenance import map_splits, write_results

import autorec_d2l as d2l
from autorec_d2l import experiments
from autorec_d2l.data.rating_scale import STARS
from autorec_d2l.experiments.results import as_json

EPOCHS = {"I-AutoRec": [30], "50": [50, 100]}  # 25 in paper_ml1m.csv


def main():
    """Run the splits and write the file."""
    tables = map_splits(__doc__, run_split, SPLITS)
    write_results(pd.concat(tables), "paper_ml1m_epochs.csv", data=("ml-1m",))


def run_split(split):
    """Return the rows of one split."""
    torch.set_num_threads(1)
    parts = experiments.split_parts(d2l.read_data_ml1m(), "random", split)
    chosen = experiments.read_results("paper_ml1m.csv").query("split == @split")
    chosen = chosen.set_index("model")["settings"].map(json.loads)
    rows = []
    for model, epochs in EPOCHS.items():
        for num_epochs in epochs:
            settings = {**chosen[model]}
            del settings["num_epochs"]
            start = time.process_time()
            fit = fit_paper(parts.train_data, None, parts.sizes, num_epochs, split, **settings)
            seconds = time.process_time() - start
            scores = experiments.score(fit.predict(parts.test_data), parts.test_data, STARS)
            rows.append(
                {"model": model, "epochs": num_epochs, "split": split, **scores}
                | {"cpu_seconds": seconds, "settings": as_json(settings)}
            )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
