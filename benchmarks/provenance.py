"""Write a results file with a header that names how it was made."""

import argparse
import hashlib
import os
import platform
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path

import autorec_d2l as d2l

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "autorec_d2l" / "results"
READ = {"ml-100k": d2l.read_data_ml100k, "ml-1m": d2l.read_data_ml1m}


def machine():
    """Return the processor's name and how many of its cores this process may use."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.split(": ")[1] for line in lines if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores"


def options_of(doc):
    """Return a parser of options whose help is the docstring of a script."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def map_splits(doc, run_split, splits):
    """Return what `run_split` returns for each split, computed in `--processes` processes."""
    parser = options_of(doc)
    parser.add_argument("--processes", type=int, default=2)
    with ProcessPoolExecutor(parser.parse_args().processes) as pool:
        return list(pool.map(run_split, splits))


def require_linux():
    """End with a reason where cores cannot be chosen, or memory is counted in other units."""
    if sys.platform != "linux":
        sys.exit("This benchmark runs on Linux only: it chooses cores, and reads memory as KiB.")


def commit():
    """Return the commit that is checked out, with `+changes` if files differ from it.

    Results files do not count: a benchmark may write several.
    """

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--", ".", ":(exclude)autorec_d2l/results")
        return git("rev-parse", "--short", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@cache
def data_hash(name):
    """Return the SHA-256 of the ratings, written as in MovieLens-100K's `u.data`.

    Of MovieLens-100K that is the hash of `u.data` itself, whichever source it came from.
    """
    rows = READ[name]()[0].to_csv(sep="\t", header=False, index=False, lineterminator="\n")
    return hashlib.sha256(rows.encode()).hexdigest()


def write_results(table, name, packages=("torch", "numpy"), others="", data=("ml-100k",)):
    """Write `table` with all that is needed to make it again.

    That is the command (paths in it become PATH), the versions of this interpreter's `packages`
    and, in words, of `others`, the commit, the hashes of the `data` sets ("synthetic" has none),
    the machine and the date.
    """
    words = ["PATH" if os.sep in word else word for word in sys.argv[1:]]
    command = " ".join([f"python benchmarks/{Path(sys.argv[0]).name}", *words])
    versions = [f"python {platform.python_version()}"]
    versions += [f"{package} {version(package)}" for package in packages]
    hashes = [f"{one} sha256 {data_hash(one)}" if one in READ else one for one in data]
    header = {
        "command": command,
        "versions": ", ".join(versions + [others] * bool(others)),
        "commit": commit(),
        "data": "; ".join(hashes),
        "machine": machine(),
        "date": date.today(),
    }
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / name).open("w", encoding="utf-8") as file:
        file.writelines(f"# {key}: {value}\n" for key, value in header.items())
        table.to_csv(file, index=False, float_format="%.6g", lineterminator="\n")
    print(f"{header['machine']}; {header['versions']}; wrote results/{name}")
