"""How large may your own table be: rows, seconds, memory?

    python benchmarks/custom_scale.py [--tenth]

Writes a CSV of the shape of MovieLens-25M (162,541 users, 59,047 items, 25,000,095 half stars, with
timestamps; synthetic, the ids have gaps), reads it, fits two epochs of each network (first without
the validation and the test part, then on all ratings; more take more time, but no more memory) and
saves the model; loads it in another process and recommends; and writes
`autorec_d2l/results/custom_scale.csv`: seconds of each step, and the most memory that its process
had held at its end. `--tenth` takes a tenth of the users and the ratings, and writes no results.
Run it on a machine that does nothing else; it needs Linux.
"""

import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from provenance import options_of, require_linux, write_results
from tqdm import tqdm

from autorec_d2l import custom
from autorec_d2l.sparse.synthetic import MOVIELENS, synthetic_ratings

PIECE = 500_000  # rows that are written together


def write_table(path, tenth):
    """Write the table to read, user by user, as GroupLens does."""
    (num_items, num_users), num_ratings = MOVIELENS["25M"]
    if tenth:
        num_users, num_ratings = num_users // 10, num_ratings // 10
    matrix = synthetic_ratings(num_ratings, (num_items, num_users))
    items = np.repeat(np.arange(num_items), matrix.crow.diff().numpy())
    users = matrix.col.numpy()
    order = users.argsort(kind="stable")
    generator = np.random.default_rng(0)
    path.write_text("userId,movieId,rating,timestamp\n", encoding="utf-8")
    for start in tqdm(range(0, num_ratings, PIECE), desc="write the table"):
        here = order[start : start + PIECE]
        piece = {"userId": users[here] + 1, "movieId": 3 * items[here] + 1}
        # Even users like even items and odd users odd ones, so that the networks get weights.
        is_liked = (users[here] + items[here]) % 2 == 0
        piece["rating"] = (generator.integers(1, 6, len(here)) + 5 * is_liked) / 2
        piece["timestamp"] = generator.integers(10**9, 1_600_000_000, len(here))
        pd.DataFrame(piece).to_csv(path, mode="a", header=False, index=False)


def fit(folder):
    """Go the way from a table to a saved model; return a row for each step."""
    rows = []
    ratings = step(rows, "read", lambda: custom.read_ratings(folder / "ratings.csv"))
    model = step(rows, "fit two epochs", lambda: custom.fit(ratings, num_epochs=2))
    step(rows, "save", lambda: model.save(folder / "model.pt"))
    sizes = dict(zip(("num_users", "num_items"), ratings.sizes, strict=True))
    sizes |= {"num_ratings": len(ratings.data)}
    sizes |= {name: (folder / name).stat().st_size for name in ("ratings.csv", "model.pt")}
    return pd.DataFrame(rows).assign(**sizes)


def answer(folder):
    """Go the way from a saved model to a recommendation; return a row for each step."""
    rows = []
    model = step(rows, "load", lambda: custom.load(folder / "model.pt"))
    step(rows, "recommend", lambda: model.recommend(model.users.values[0]))
    return pd.DataFrame(rows)


def step(rows, name, call):
    """Return what a call returns; add its seconds, and the most memory up to its end, to `rows`."""
    import resource  # not on Windows

    start = time.perf_counter()
    found = call()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts KiB
    rows.append({"step": name, "seconds": seconds, "peak_bytes": peak})
    return found


def alone(call, *arguments):
    """Return what a call returns in a process of its own, so that only its memory counts."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(call, *arguments).result()


def main():
    """Write the table, fit and answer, each in a process of its own."""
    parser = options_of(__doc__)
    parser.add_argument("--tenth", action="store_true")
    options = parser.parse_args()
    require_linux()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone(write_table, folder / "ratings.csv", options.tenth)
        rows = pd.concat([alone(fit, folder), alone(answer, folder)], ignore_index=True)
    rows = rows.ffill().convert_dtypes()  # what counts rows and bytes is whole again
    print(rows.round(2).to_string())
    if not options.tenth:
        write_results(rows, "custom_scale.csv", packages=("torch", "pandas"), data=("synthetic",))


if __name__ == "__main__":
    main()
