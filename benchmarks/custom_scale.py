"""How large may your own table be: rows, seconds, memory?

    python benchmarks/custom_scale.py [--tenth]

Writes a CSV of the shape of MovieLens-25M (162,541 users, 59,047 items, 25,000,095 half stars, with
timestamps; synthetic, the ids have gaps), reads it, fits one epoch of each network (first without
the validation part, then on all ratings), saves the model, loads it and recommends; and writes
`autorec_d2l/results/custom_scale.csv`: seconds of each step, and the most memory that the process
held in it. `--tenth` takes a tenth of the users and the ratings, and writes no results. Run it on a
machine that does nothing else; it needs Linux.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from provenance import options_of, write_results
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


def measure(folder):
    """Go the whole way from a table to a recommendation; return a row for each step."""
    found, rows = {}, []

    def step(name, call):
        # So that the peak starts anew.
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        start = time.perf_counter()
        found[name] = call()
        seconds = time.perf_counter() - start
        status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        [peak] = (int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        rows.append({"step": name, "seconds": seconds, "peak_bytes": peak * 1024})

    path = folder / "model.pt"
    step("read", lambda: custom.read_ratings(folder / "ratings.csv"))
    ratings = found["read"]
    num_users, num_items = ratings.sizes
    step(
        "fit one epoch",
        lambda: custom.fit(ratings, num_epochs=1, test_ratio=0),
    )
    step("save", lambda: found["fit one epoch"].save(path))
    del found["fit one epoch"]
    step("load", lambda: custom.load(path))
    step("recommend", lambda: found["load"].recommend(ratings.users.values[0]))
    sizes = {"num_users": num_users, "num_items": num_items, "num_ratings": len(ratings.data)}
    sizes |= {name: (folder / name).stat().st_size for name in ("ratings.csv", "model.pt")}
    return pd.DataFrame(rows).assign(**sizes)


def main():
    """Write the table in a separate process, whose memory does not count, and measure."""
    parser = options_of(__doc__)
    parser.add_argument("--tenth", action="store_true")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)  # for the separate process
    options = parser.parse_args()
    if options.write:
        write_table(options.write, options.tenth)
        return
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "ratings.csv"
        subprocess.run([sys.executable, *sys.argv, "--write", str(table)], check=True)
        rows = measure(Path(folder))
    print(rows.round(2).to_string())
    if not options.tenth:
        write_results(rows, "custom_scale.csv", packages=("torch", "pandas"), data=("synthetic",))


if __name__ == "__main__":
    main()
