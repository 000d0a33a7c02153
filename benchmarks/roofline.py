"""How close do the products come to what two ordinary cores can do?

    python benchmarks/roofline.py [--rounds 30]

Writes `autorec_d2l/results/roofline.csv`: for each kernel the median seconds, the floating point
operations and the bytes it reads and writes, from the cache or not. `peak` rows are limits of the
machine, the best of several tries each: matrix products of several sizes, and multiplying,
copying or adding up blocks that fit the cache ("scale, cache") or do not ("scale, memory"). The
other rows are the products of a training step, on a batch of the shape of MovieLens-100K (whose
weights fit the cache) and of MovieLens-10M (whose weights do not), with 500 hidden units, and
Adam's step on the same weights. `training` rows say where the time of 25 epochs on MovieLens-100K
goes, by torch's profiler: the main thread's own seconds in each kind of operation. Run it on a
machine that does nothing else.
"""

import time
from functools import partial
from itertools import product

import configurations
import pandas as pd
import torch
from provenance import options_of, write_results
from torch import nn
from torch.profiler import ProfilerActivity, profile

from autorec_d2l.sparse.ops import dot_cells, sum_by_column, sum_by_row
from autorec_d2l.sparse.pattern import SparsityPattern
from autorec_d2l.sparse.synthetic import MOVIELENS, synthetic_ratings

NUM_HIDDEN = 500
PARTS = {
    "aten::_embedding_bag_forward_only": "sums of rows",
    "aten::sparse_sampled_addmm": "dot products",
    "aten::bernoulli_": "random numbers for dropout",
    "aten::sort": "sorting",
    "aten::_fused_adam_": "Adam",
}


def peak_kernels():
    """Return limits of the machine: name, function, operations, bytes.

    Of several kernels with one name, the fastest is the limit.
    """
    kernels = []
    # On a processor without instructions for bfloat16 a larger product takes minutes.
    products = [
        *product([torch.float32], (512, 1024, 2048)),
        *product([torch.bfloat16], (512, 1024)),
    ]
    for dtype, size in products:
        a, out = torch.randn(size, size).to(dtype), torch.empty(size, size, dtype=dtype)
        name = f"matrix product, {str(dtype).removeprefix('torch.')}"
        kernels.append((name, partial(torch.mm, a, a, out=out), 2 * size**3, 3 * a.nbytes))
    for name, num_bytes in (("cache", 2**18), ("cache", 2**20), ("memory", 2**28)):
        block, out = torch.ones(num_bytes // 4), torch.empty(num_bytes // 4)
        size = block.numel()
        kernels.append((f"scale, {name}", partial(block.mul_, 1.0), size, 2 * num_bytes))
        kernels.append((f"scale, {name}", partial(out.copy_, block), size, 2 * num_bytes))
        kernels.append((f"scale, {name}", block.sum, size, num_bytes))
    return kernels


def unsorted(ratings):
    """Return the cells of a batch as they are before anything is sorted."""
    return SparsityPattern(ratings.crow_indices(), ratings.col_indices(), tuple(ratings.shape))


def product_kernels(matrix, batch_size):
    """Return products of a training step, and Adam's step: name, function, operations, bytes."""
    ratings, _ = matrix[torch.randperm(len(matrix))[:batch_size]]
    cells, values = SparsityPattern.of(ratings), ratings.values()  # sorted, as in training
    num_users, num_ratings = ratings.shape[1], len(values)
    rated = len(ratings.col_indices().unique())  # columns that the batch reads
    hidden, weight = torch.randn(batch_size, NUM_HIDDEN), torch.randn(num_users, NUM_HIDDEN)
    half_weight, half_values = weight.bfloat16(), values.bfloat16()
    row_bytes = 4 * NUM_HIDDEN
    flop = 2 * num_ratings * NUM_HIDDEN
    dense, dense_flop = ratings.to_dense(), 2 * ratings.numel() * NUM_HIDDEN
    parameters = [nn.Parameter(torch.randn_like(weight)) for _ in range(2)]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    both = 2 * weight.numel()
    read = num_ratings * row_bytes  # a row of weights, or a hidden row, for each rating
    sums = read + batch_size * row_bytes
    rows = [
        ("encoder", lambda: sum_by_row(cells, values, weight), flop, sums),
        (
            "encoder, bfloat16",
            lambda: sum_by_row(cells, half_values, half_weight),
            flop,
            sums // 2,
        ),
        ("decoder", lambda: dot_cells(cells, hidden, weight), flop, read + rated * row_bytes),
        (
            "weight gradient",
            lambda: sum_by_column(cells, values, hidden),
            flop,
            read + num_users * row_bytes,
        ),
        (
            "sorting",
            lambda: (unsorted(ratings).by_row, unsorted(ratings).by_column),
            0,
            48 * num_ratings,
        ),
        (
            "dense product",
            lambda: dense @ weight,
            dense_flop,
            dense.nbytes + weight.nbytes + hidden.nbytes,
        ),
    ]
    for form in ("fused", "foreach"):
        trainer = torch.optim.Adam(parameters, lr=0.002, weight_decay=1e-5, **{form: True})
        rows.append((f"Adam, {form}", trainer.step, 12 * both, 7 * 4 * both))
    return rows


def training_rows():
    """Return the parts of a whole training, evaluation included, as rows of the table."""
    matrices = configurations.load_matrices("100k", 0)
    configurations.train_configuration("ours, sparse", "100k", matrices, 2, 0)  # to warm up
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        configurations.train_configuration("ours, sparse", "100k", matrices, 25, 0)
    seconds = dict.fromkeys([*PARTS.values(), "everything else"], 0.0)
    for event in profiler.key_averages():
        seconds[PARTS.get(event.key, "everything else")] += event.self_cpu_time_total / 1e6
    return [("training", part, value, 0, 0) for part, value in seconds.items()]


def median_seconds(function, rounds):
    """Return the median time of a call, after one that does not count."""
    function()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return float(torch.tensor(seconds, dtype=torch.float64).median())


def main():
    """Measure everything and write one table."""
    parser = options_of(__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    torch.manual_seed(0)
    kernels = [("peak", *kernel) for kernel in peak_kernels()]
    for size, batch_size in (("100K", 256), ("10M", 512)):
        shape, num_ratings = MOVIELENS[size]
        matrix = synthetic_ratings(num_ratings, shape)
        kernels += [(size, *kernel) for kernel in product_kernels(matrix, batch_size)]
    rows = [
        (size, name, median_seconds(function, options.rounds), operations, num_bytes)
        for size, name, function, operations, num_bytes in kernels
    ]
    rows += training_rows()
    table = pd.DataFrame(rows, columns=["size", "kernel", "seconds", "flop", "bytes"])
    is_product = table["kernel"].str.startswith("matrix")
    rate = table["flop"].where(is_product, table["bytes"]) / table["seconds"]
    is_peak = table["size"] == "peak"
    best = rate[is_peak].groupby(table["kernel"], sort=False).idxmax()
    table = pd.concat([table.loc[best], table[~is_peak]], ignore_index=True)
    write_results(table, "roofline.csv", data=("synthetic", "ml-100k"))
    table["GFLOP/s"] = table["flop"] / table["seconds"] / 1e9
    table["GB/s"] = table["bytes"] / table["seconds"] / 1e9
    print(table.drop(columns=["flop", "bytes"]).round(4).to_string())


if __name__ == "__main__":
    main()
