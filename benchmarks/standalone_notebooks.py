"""Run standalone notebooks, each in an empty folder, and print their sizes and seconds.

    python benchmarks/standalone_notebooks.py [movielens scale ...]    default: all
    python benchmarks/standalone_notebooks.py --environment FOLDER     a prepared one, as below

The environment is like Colab's: a package index, but no repository and no variable of ours.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import standalone_notebooks  # noqa: E402

PACKAGES = ["numpy", "pandas", "matplotlib", "tqdm", "ipykernel"]
MOST_BYTES = 3_000_000


class BareEnvironment:
    """A virtual environment with `PACKAGES`, torch and a kernel."""

    def __init__(self, folder, environment):
        root = environment or folder / "venv"
        self.python = root / ("Scripts" if os.name == "nt" else "bin") / "python"
        ours = ("AUTOREC_D2L_", "PYTHON", "VIRTUAL_ENV", "JUPYTER", "MPL")
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        self.environ["XDG_CACHE_HOME"] = str(folder / "cache")  # no cached data
        if environment is None:
            venv.create(root, with_pip=True)
            requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
            self.pip("install", re.search(r"^torch==\S+", requirements, re.MULTILINE)[0], *PACKAGES)
        self.packages = self.frozen()
        spec = {
            "argv": [str(self.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "bare",
            "language": "python",
        }
        (folder / "kernels" / "bare").mkdir(parents=True)
        (folder / "kernels" / "bare" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
        os.environ["JUPYTER_PATH"] = str(folder)  # where the client looks for the kernel

    def pip(self, *arguments):
        """Run pip in the environment and return its output."""
        command = [self.python, "-m", "pip", "--disable-pip-version-check", "-qq", *arguments]
        return subprocess.run(
            command, env=self.environ, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def frozen(self):
        """Return the names of the installed packages."""
        return set(re.findall(r"^[\w.-]+", self.pip("freeze"), re.MULTILINE))

    def run(self, nb):
        """Run a notebook in an empty folder, then uninstall what it installed."""
        try:
            with tempfile.TemporaryDirectory() as folder:
                resources = {"metadata": {"path": folder}}
                client = NotebookClient(nb, kernel_name="bare", timeout=1200, resources=resources)
                client.execute(env=self.environ)
        finally:
            if added := self.frozen() - self.packages:
                self.pip("uninstall", "-y", *added)


def main():
    """Run the named notebooks, or all; return 1 if one failed or is too large."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="default: every chapter")
    parser.add_argument("--environment", type=Path, help="a virtual environment that is ready")
    options = parser.parse_args()
    names = options.names or [p.stem for p in sorted((ROOT / "book").glob("*.ipynb"))]
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        chapters = [ROOT / "book" / f"{name}.ipynb" for name in names]
        standalone_notebooks.write(ROOT, chapters, Path(scratch, "notebooks"))
        bare = BareEnvironment(Path(scratch), options.environment)
        for name in names:
            path, start = Path(scratch, "notebooks", f"{name}.ipynb"), time.perf_counter()
            size, error_text = path.stat().st_size, ""
            try:
                bare.run(nbformat.read(path, as_version=4))
            except CellExecutionError as error:
                if error.ename == "DataUnavailableError":  # MovieLens-1M is in no package
                    print(f"{name}: not run to its end, {error.evalue}")
                    continue
                error_text = f": FAILED\n{error}"
            if size > MOST_BYTES:
                error_text += f": larger than {MOST_BYTES:,} bytes"
            failures += bool(error_text)
            seconds = time.perf_counter() - start
            print(f"{name:24}{size / 1000:8.0f} kB{seconds:8.1f} s{error_text}", flush=True)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
