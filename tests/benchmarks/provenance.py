"""Write a results file that says where it comes from."""

import os
import platform
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "autorec_d2l" / "results"


def machine():
    """Return the processor's name and how many of its cores this process may use."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.split(": ")[1] for line in lines if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores"


def write_results(table, name, packages=("torch", "numpy")):
    """Write `table` with the command that made it; paths in the command become PATH."""
    words = ["PATH" if os.sep in word else word for word in sys.argv[1:]]
    command = " ".join([f"python tests/benchmarks/{Path(sys.argv[0]).name}", *words])
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / name).open("w", encoding="utf-8") as file:
        file.write(f"# command: {command}\n")
        file.write(f"# versions: python {platform.python_version()}, {versions}\n")
        file.write(f"# machine: {machine()}\n# date: {date.today()}\n")
        table.to_csv(file, index=False, float_format="%.6g", lineterminator="\n")
    print(f"{machine()}; {versions}; wrote results/{name}")
