"""How do time and memory grow: with the ratings, or with the area of the matrix?

    python benchmarks/scale.py [--rounds 3] [--only area ratings density movielens]

Trains AutoRec with 500 hidden units on synthetic ratings with the skew of MovieLens, each
configuration in a separate process, and writes `autorec_d2l/results/scale.csv`: seconds per epoch
(cutting batches; forward and backward pass; optimizer) and the process's peak memory.

- `area`: a million ratings in matrices of 1, 4 and 16 times the area of MovieLens-1M;
- `ratings`: 1 to 10 million ratings in a matrix of the shape of MovieLens-10M;
- `density`: MovieLens-100K's shape with 3 to 50 % of the cells rated, sparse and dense;
- `movielens`: MovieLens-100K, 1M, 10M and 25M by shape and number of ratings. `dense` makes its
  batches from the sparse rows, for the whole matrix would not fit; `sparse, lean` makes Adam's step
  for each parameter as soon as its gradient is there, so that gradients never exist all at once.

Rounds alternate between the configurations, and medians are reported; configurations of
MovieLens's size above 2 million ratings are run once. Run it on a machine that does nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import pandas as pd
import torch
from provenance import options_of, require_linux, write_results
from tqdm import tqdm

import autorec_d2l as d2l
from autorec_d2l import sparse
from autorec_d2l.sparse.synthetic import MOVIELENS, synthetic_ratings

NUM_HIDDEN = 500
PARTS = ["batch", "passes", "optimizer"]
BATCHES_AN_EPOCH = 8  # where the number of rows changes, so that it changes nothing else


def configurations(only):
    """Return what to measure: dictionaries of `experiment, size, shape, num_ratings, ...`."""
    found = []
    items, users = MOVIELENS["1M"][0]
    for side in (1, 2, 4):
        shape = (items * side, users * side)
        batch_size = -(-shape[0] // BATCHES_AN_EPOCH)
        for form in ("sparse", "dense"):
            found.append(("area", f"{side**2}x", shape, 1_000_000, batch_size, form))
    shape = MOVIELENS["10M"][0]
    for millions in (1, 2, 5, 10):
        found.append(("ratings", f"{millions}M", shape, millions * 1_000_000, 512, "sparse"))
    items, users = MOVIELENS["100K"][0]
    for percent in (3, 6, 12, 25, 50):
        num_ratings = items * users * percent // 100
        for form in ("sparse", "dense"):
            found.append(("density", f"{percent}%", (items, users), num_ratings, 256, form))
    for name, batch_size in (("100K", 256), ("1M", 512), ("10M", 512), ("25M", 1024)):
        forms = ["sparse", "sparse, lean", *["dense"] * (name != "25M")]
        found += [("movielens", name, *MOVIELENS[name], batch_size, form) for form in forms]
    names = ["experiment", "size", "shape", "num_ratings", "batch_size", "form"]
    return [dict(zip(names, values, strict=True)) for values in found if values[0] in only]


def measure(shape, num_ratings, batch_size, form, **_):
    """Train for an epoch after a warm-up; return seconds of each part and the peak memory."""
    matrix = synthetic_ratings(num_ratings, tuple(shape))
    torch.manual_seed(0)
    net = (d2l.AutoRec if form == "dense" else sparse.SparseAutoRec)(NUM_HIDDEN, shape[1])
    step = adam_step(net, lean=form.endswith("lean"))
    loss = sparse.HalfSumOfSquares(batch_size * shape[1])
    train_iter = d2l.load_array((matrix,), batch_size)
    epochs = 1 if num_ratings > 2_000_000 else max(2, 2_000_000 // num_ratings)
    for ratings, target in [matrix[:batch_size], matrix[-batch_size:]]:
        train_batch(net, loss, ratings, target, form)
        step()
    seconds = dict.fromkeys(PARTS, 0.0)
    for _ in range(epochs):
        batches = iter(train_iter)
        for _ in range(len(train_iter)):
            times = [time.perf_counter()]
            ratings, target = next(batches)
            times.append(time.perf_counter())
            train_batch(net, loss, ratings, target, form)
            times.append(time.perf_counter())
            step()
            times.append(time.perf_counter())
            for part, start, end in zip(PARTS, times, times[1:], strict=False):
                seconds[part] += (end - start) / epochs
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts KiB
    return {f"{part}_seconds": value for part, value in seconds.items()} | {"peak_bytes": peak}


def train_batch(net, loss, ratings, target, form):
    """Leave the gradients of one batch in the parameters."""
    if form == "dense":
        ratings = target = ratings.to_dense()
    loss(net(ratings), target).backward()


def adam_step(net, lean):
    """Return a function that makes the step of all parameters and frees the gradients.

    If `lean`, the steps are made during the backward pass, and the function does nothing.
    """
    settings = {"lr": 0.002, "weight_decay": 1e-5, "fused": True}
    if not lean:
        trainer = torch.optim.Adam(net.parameters(), **settings)

        def step():
            trainer.step()
            trainer.zero_grad()

        return step
    trainers = {
        parameter: torch.optim.Adam([parameter], **settings) for parameter in net.parameters()
    }

    def step_one(parameter):
        trainers[parameter].step()
        parameter.grad = None

    for parameter in trainers:
        parameter.register_post_accumulate_grad_hook(step_one)
    return lambda: None


def run_process(configuration):
    """Measure one configuration in a separate process."""
    command = [sys.executable, __file__, "--measure", json.dumps(configuration)]
    # Gigabytes of gradients are new memory in every step; in huge pages it costs less.
    environment = {**os.environ, "THP_MEM_ALLOC_ENABLE": "1"}
    process = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return configuration | json.loads(process.stdout.splitlines()[-1])


def main():
    """Measure all configurations in rounds, or one."""
    require_linux()
    parser = options_of(__doc__)
    kinds = ["area", "ratings", "density", "movielens"]
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--measure", help=argparse.SUPPRESS)  # for the separate process
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(**json.loads(options.measure))))
        return
    plan = [
        configuration
        for round_number in range(options.rounds)
        for configuration in configurations(options.only)
        if round_number == 0
        or configuration["num_ratings"] <= 2_000_000
        or configuration["experiment"] == "ratings"
    ]
    rows = pd.DataFrame([run_process(configuration) for configuration in tqdm(plan, unit="run")])
    rows[["num_items", "num_users"]] = rows.pop("shape").to_list()
    keys = ["experiment", "size", "form", "num_items", "num_users", "num_ratings", "batch_size"]
    table = rows.groupby(keys, sort=False).median().reset_index()
    table["seconds"] = table[[f"{part}_seconds" for part in PARTS]].sum(axis=1)
    write_results(table, "scale.csv", data=("synthetic",))
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
