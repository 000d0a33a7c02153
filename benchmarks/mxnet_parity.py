"""Is the port a port? MXNet's listing and ours on the same splits, and step by step.

    python benchmarks/mxnet_parity.py --mxnet-python PATH [--splits 5] [--seeds 3]

`PATH` is the interpreter of the environment that `mxnet_listing.py` describes. Writes into
`autorec_d2l/results/`:

- `mxnet_parity.csv`: learning curves of 25 epochs, for each random 90/10 split and training seed,
  of the listing and of the port with each way to end an epoch;
- `mxnet_steps.csv`: from equal weights, with dropout off, on the first 256 rows of split 0, the
  largest difference between the two frameworks in any entry of each parameter after each step of
  Adam, with torch's epsilon as it is and with Gluon's;
- `mxnet_steps.npz`: Gluon's steps on small synthetic ratings, for the tests and the chapter.
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from provenance import RESULTS, options_of, write_results
from tqdm import tqdm

import autorec_d2l as d2l

HERE = Path(__file__).parent
PARAMETERS = ["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"]


def main():
    """Run both sides and write the three files."""
    parser = options_of(__doc__)
    parser.add_argument("--mxnet-python", required=True)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()

    def mxnet(*arguments):
        command = [options.mxnet_python, HERE / "mxnet_listing.py", *map(str, arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    mxnet("steps", RESULTS / "mxnet_steps.npz")
    with np.load(RESULTS / "mxnet_steps.npz") as small:
        theirs = str(small["versions"])  # of the other interpreter
    with tempfile.TemporaryDirectory() as folder:
        splits = [load_split(seed) for seed in range(options.splits)]
        steps = compare_steps(splits[0][0][:256], mxnet, Path(folder))
        write_results(steps, "mxnet_steps.csv", others=f"on the other side {theirs}")
        curves = compare_training(splits, options.seeds, mxnet, Path(folder))
    write_results(curves, "mxnet_parity.csv", others=f"on the other side {theirs}")
    last = curves[curves["epoch"] == curves["epoch"].max()]
    print(last.groupby(["framework", "last_batch"])["test_rmse"].agg(["mean", "std", "count"]))


def load_split(seed):
    """Return the training and the test matrix of one random split, (num_items, num_users)."""
    data, num_users, num_items = d2l.read_data_ml100k()
    parts = d2l.split_data_ml100k(data, num_users, num_items, seed=seed)
    return [d2l.load_data_ml100k(part, num_users, num_items)[3] for part in parts]


def compare_training(splits, num_seeds, mxnet, folder):
    """Return the learning curves of both sides, one row per run and epoch."""
    curves = []
    for split, (train_inter, test_inter) in enumerate(tqdm(splits, unit="split")):
        np.savez(folder / "split.npz", train=train_inter.numpy(), test=test_inter.numpy())
        for seed in range(num_seeds):
            arguments = ["--seed", seed, "--workers", 0]  # workers change the time alone
            mxnet("train", folder / "split.npz", folder / "history.csv", *arguments)
            runs = {("mxnet", "rollover"): pd.read_csv(folder / "history.csv")}
            for last_batch in ("rollover", "keep", "discard"):
                history = train_port(train_inter, test_inter, seed, last_batch)
                runs["torch", last_batch] = history.reset_index()
            for (framework, last_batch), history in runs.items():
                curve = history[["epoch", "train_rmse", "test_rmse"]].round(5)
                settings = {"framework": framework, "last_batch": last_batch}
                curves.append(curve.assign(**settings, split=split, seed=seed))
    return pd.concat(curves)[
        ["framework", "last_batch", "split", "seed", "epoch", "train_rmse", "test_rmse"]
    ]


def train_port(train_inter, test_inter, seed, last_batch):
    """Train our AutoRec with the listing's settings and return its history."""
    torch.manual_seed(seed)
    net = d2l.AutoRec(500, train_inter.shape[1])
    return d2l.train_recsys_rating(
        net,
        d2l.load_array((train_inter,), 256, seed=seed, last_batch=last_batch),
        d2l.load_array((train_inter,), 1024, is_train=False),
        d2l.L2Loss(),
        torch.optim.Adam(net.parameters(), lr=0.002, weight_decay=1e-5),
        num_epochs=25,
        inter_mat=test_inter,
    )


def compare_steps(ratings, mxnet, folder, steps=10):
    """Return the largest difference after each step, one row per step, epsilon and parameter."""
    torch.manual_seed(0)
    net = d2l.AutoRec(500, ratings.shape[1], dropout=0)
    start = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    np.savez(folder / "start.npz", ratings=ratings, **start)
    mxnet("steps", folder / "steps.npz", "--start", folder / "start.npz", "--steps", steps)
    theirs = np.load(folder / "steps.npz")
    theirs = {name: torch.tensor(theirs[name]) for name in PARAMETERS}
    rows = []
    for epsilon in ("torch", "gluon"):
        net.load_state_dict(start)
        trainer = torch.optim.Adam(net.parameters(), lr=0.002, weight_decay=1e-5)
        for step in range(1, steps + 1):
            if epsilon == "gluon":  # added before the bias correction
                trainer.param_groups[0]["eps"] = 1e-8 / (1 - 0.999**step) ** 0.5
            trainer.zero_grad()
            d2l.L2Loss()(net(ratings), ratings).backward()
            trainer.step()
            for name, parameter in net.named_parameters():
                difference = float((parameter.detach() - theirs[name][step]).abs().max())
                rows.append((step, epsilon, name, difference))
    return pd.DataFrame(rows, columns=["step", "epsilon", "parameter", "max_difference"])


if __name__ == "__main__":
    main()
