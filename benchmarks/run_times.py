"""How long does each chapter take?

    python benchmarks/run_times.py [mf autorec ...]

Runs every chapter, or those given, in a fresh kernel with one thread, as
`tools/execute_notebooks.py` and `pytest --nbval` do, and discards the outputs. Writes
`autorec_d2l/results/run_times.csv`, which the page `book/run_times.md` shows. Run it on a machine
that does nothing else.
"""

import argparse
import re
import runpy
import time

import nbformat
import pandas as pd
from provenance import ROOT, write_results

PACKAGES = ("torch", "numpy", "pandas", "scipy", "matplotlib", "jupyter-book", "nbval")


def main():
    """Run, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    order = re.findall(r"file: book/(\w+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    names = [name for name in order if (ROOT / "book" / f"{name}.ipynb").exists()]
    parser.add_argument("chapters", nargs="*", metavar="chapter", help=", ".join(names))
    chapters = parser.parse_args().chapters or names
    execute = runpy.run_path(str(ROOT / "tools" / "execute_notebooks.py"))["execute"]
    rows, data = [], {"ml-100k"}
    for name in chapters:
        text = (ROOT / "book" / f"{name}.ipynb").read_text(encoding="utf-8")
        start = time.perf_counter()
        execute(nbformat.reads(text, as_version=4), ROOT / "book")
        rows.append((name, time.perf_counter() - start))
        print(f"{name}: {rows[-1][1]:.1f} s", flush=True)
        data |= {"ml-1m"} if "read_data_ml1m()" in text else set()
    table = pd.DataFrame(rows, columns=["chapter", "seconds"])
    write_results(table, "run_times.csv", PACKAGES, data=sorted(data))


if __name__ == "__main__":
    main()
