"""How long does training take, evaluation after each epoch included?

    python benchmarks/train_time.py [--mxnet-python PATH]      MovieLens-100K
    python benchmarks/train_time.py --data 1m                  MovieLens-1M, the paper's model
    python benchmarks/train_time.py --tune                     the settings of the fast model

`PATH` is the interpreter of the environment that `mxnet_listing.py` describes; without it the
table has no row for MXNet. Every run is a separate process; a round runs every configuration
once on one random 90/10 split, so that whatever slows the machine down hits all of them; the rows
for one core are run on the first three splits. The rows called "busy" run beside one other busy
process, a loop in Python on the same two cores. Writes the curves (test RMSE and seconds since the
start after each epoch) to `autorec_d2l/results/train_time*.csv` and prints one table. Run it on a
machine that does nothing else.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext
from itertools import product
from pathlib import Path

import configurations
import numpy as np
import pandas as pd
from provenance import options_of, require_linux, write_results
from tqdm import tqdm

HERE = Path(__file__).parent
CONFIGURATIONS = {
    "100k": [
        "PyTorch, default DataLoader",
        "PyTorch, 4 workers",
        "ours, dense",
        "ours, dense bfloat16",
        "ours, sparse",
        "ours, sparse, quick dropout",
        "ours, sparse, fast settings",
    ],
    "1m": ["ours, dense", "ours, sparse"],
}
# Beside another busy process: what the environment says about threads.
BUSY = {
    "ours, sparse, busy, 1 thread": {"OMP_NUM_THREADS": "1"},
    "ours, sparse, busy, 2 threads": {"OMP_NUM_THREADS": "2"},
    "ours, sparse, busy, 2 threads passive": {
        "OMP_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "passive",
    },
}
MXNET = {"MXNet listing, 4 workers": 4, "MXNet listing, no workers": 0}
EPOCHS = {"100k": 25, "1m": 30}
TARGET = {"100k": 0.898, "1m": 0.834}  # test RMSE in stars
# What --tune goes by. It is above the test target, as the training part is a tenth smaller.
VALIDATION_TARGET = 0.905


def run_process(name, options, split, cores):
    """Run one configuration in a separate process on so many cores; return its curve."""
    epochs = options.epochs if cores > 1 and name not in BUSY else EPOCHS[options.data]
    with tempfile.TemporaryDirectory() as folder:
        history = Path(folder) / "history.csv"
        if name in MXNET:
            inter, test_inter = (inter for _, inter in configurations.load_matrices("100k", split))
            np.savez(Path(folder) / "split.npz", train=inter.numpy(), test=test_inter.numpy())
            command = [options.mxnet_python, HERE / "mxnet_listing.py", "train"]
            command += [Path(folder) / "split.npz", history, "--workers", MXNET[name]]
        else:
            command = [sys.executable, __file__, "--data", options.data, "--configuration", name]
            command += ["--split", split, "--history", history]
        threads = BUSY.get(name, {"OMP_NUM_THREADS": str(cores)})
        with busy_process(cores) if name in BUSY else nullcontext():
            start, used = time.perf_counter(), cpu_seconds()
            subprocess.run(
                [*map(str, command), "--epochs", str(epochs)],
                env={**os.environ, **threads, "TQDM_DISABLE": "1"},
                preexec_fn=lambda: os.sched_setaffinity(0, range(cores)),
                stdout=subprocess.DEVNULL,
                check=True,
            )
            busy = (cpu_seconds() - used) / (time.perf_counter() - start)
        curve = pd.read_csv(history)
    if name in MXNET:
        both = curve["train_seconds"] + curve["evaluation_seconds"]
        curve = curve.assign(total_seconds=both.cumsum())
    columns = ["epoch", "train_rmse", "test_rmse", "total_seconds"]
    settings = {"arm": name, "cores": cores, "split": split}
    return curve[columns].assign(busy_cores=busy, **settings)


@contextmanager
def busy_process(cores):
    """Keep one of so many cores busy in this block; which one, the system decides."""
    with subprocess.Popen(
        [sys.executable, "-c", "while True: pass"],
        preexec_fn=lambda: os.sched_setaffinity(0, range(cores)),
    ) as process:
        try:
            yield
        finally:
            process.kill()


def cpu_seconds():
    """Return the processor time of all processes that this one has started and that ended."""
    import resource  # not on Windows

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def summarize(curves, data_name):
    """Return one row per configuration: median seconds, ratios, RMSE, seconds to the target."""
    rows = {}
    for (cores, name), runs in curves.groupby(["cores", "arm"]):
        last = runs[runs["epoch"] == EPOCHS[data_name]]
        by_epoch = runs.groupby("epoch").agg({"test_rmse": "mean", "total_seconds": "median"})
        there = by_epoch[by_epoch["test_rmse"] <= TARGET[data_name]]["total_seconds"]
        rows[cores, name] = {
            "seconds": last["total_seconds"].median(),
            "test_rmse": last["test_rmse"].mean(),
            f"seconds_to_{TARGET[data_name]}": there.iloc[0] if len(there) else np.nan,
            "busy_cores": runs["busy_cores"].median(),
        }
    table = pd.DataFrame(rows).T.rename_axis(["cores", "arm"])
    for base in table.index.unique("arm"):
        if base in (*MXNET, "PyTorch, 4 workers") or (data_name == "1m" and "dense" in base):
            seconds = table.xs(base, level="arm")["seconds"].reindex(table.index, level="cores")
            table[f"times {base}"] = seconds / table["seconds"]
    return table.sort_values(["cores", "seconds"], ascending=[False, False])


def tune(splits):
    """Return the validation curves of the fast model over a grid of settings."""
    curves = []
    values = ((64, 128, 256), (0.002, 0.004, 0.008), (0.1, 0.3), (0.1, 0.3))
    for choice in tqdm(list(product(*values)), unit="setting"):
        settings = dict(zip(configurations.CHOSEN, choice, strict=True))
        for split in range(splits):
            matrices = configurations.load_matrices("100k", split, validation=True)
            history = configurations.train_configuration(
                "ours, sparse, fast", "100k", matrices, 15, split, settings
            )
            curves.append(history.reset_index().assign(split=split, **settings))
    by_epoch = pd.concat(curves).groupby([*configurations.CHOSEN, "epoch"])
    return by_epoch.agg(
        validation_rmse=("test_rmse", "mean"), total_seconds=("total_seconds", "median")
    ).reset_index()


def main():
    """Run the configurations in rounds, or one of them, or the search for the fast settings."""
    require_linux()
    parser = options_of(__doc__)
    parser.add_argument("--mxnet-python")
    parser.add_argument("--data", choices=list(CONFIGURATIONS), default="100k")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="25 or more (1m: 30); on two cores")
    parser.add_argument("--cores", type=int, nargs="+", default=[2, 1])
    parser.add_argument("--tune", action="store_true")
    for option in ("--configuration", "--history"):
        parser.add_argument(option, help=argparse.SUPPRESS)  # for the separate process
    parser.add_argument("--split", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.epochs = options.epochs or EPOCHS[options.data]
    if options.configuration:
        matrices = configurations.load_matrices(options.data, options.split)
        history = configurations.train_configuration(
            options.configuration, options.data, matrices, options.epochs, options.split
        )
        history.to_csv(options.history)
        return
    if options.tune:
        curves = tune(options.splits)
        write_results(curves, "train_time_tuning.csv")
        there = (
            curves[curves["validation_rmse"] <= VALIDATION_TARGET]
            .groupby(list(configurations.CHOSEN))
            .first()
        )
        print(there.sort_values("total_seconds").head(5))
        return
    names = (list(MXNET) if options.mxnet_python else []) + CONFIGURATIONS[options.data]
    rounds = [
        (split, cores, name)
        for split, cores, name in product(range(options.splits), options.cores, names)
        # On one core five processes prove nothing, and times differ less than on two.
        if cores > 1 or (split < 3 and "4 workers" not in name)
    ]
    if options.data == "100k" and 2 in options.cores:
        rounds += product(range(options.splits), [2], BUSY)
    curves = pd.concat(
        run_process(name, options, split, cores) for split, cores, name in tqdm(rounds, unit="run")
    )
    name = "train_time.csv" if options.data == "100k" else f"train_time_{options.data}.csv"
    mxnet = "mxnet 1.9.1, numpy 1.23.5" if options.mxnet_python else ""
    write_results(
        curves.round(5), name, others=mxnet, data=("ml-1m" if options.data == "1m" else "ml-100k",)
    )
    print(summarize(curves, options.data).round(3).to_string())


if __name__ == "__main__":
    main()
