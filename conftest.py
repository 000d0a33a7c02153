"""Make the literal `pytest --nbval book` right, from any working directory."""

import functools
import os

import pytest

CELL_SECONDS = 600  # far more than any cell takes
NBVAL_SECONDS = 2000  # nbval's own default


def pytest_configure(config) -> None:
    """Set nbval's options here: in `addopts` they would break pytest where nbval is missing."""
    option = config.option
    if not (getattr(option, "nbval", False) or getattr(option, "nbval_lax", False)):
        return
    if option.nbval_kernel_name is None:
        option.nbval_current_env = True  # whatever kernels the machine has registered
    if option.nbval_cell_timeout == NBVAL_SECONDS:
        option.nbval_cell_timeout = CELL_SECONDS
    # The kernels inherit these, as from `tools/execute_notebooks.py`, so that outputs are the same.
    # One thread each: with more, parallel test processes on few cores are many times slower.
    os.environ.update(TQDM_DISABLE="1", PYTHONHASHSEED="0", OMP_NUM_THREADS="1")
    os.environ.pop("MPLBACKEND", None)


def pytest_collection_modifyitems(items) -> None:
    """Skip the chapters on MovieLens-1M, with the reason, where it is not available."""
    on_ml1m = [item for item in items if item.path.suffix == ".ipynb" and _uses_ml1m(item.path)]
    if not on_ml1m:
        return
    from autorec_d2l.data.download import DataUnavailableError, fetch

    try:
        fetch("ml-1m")
    except DataUnavailableError as error:
        for item in on_ml1m:
            item.add_marker(pytest.mark.skip(reason=" ".join(str(error).split())))


@functools.cache  # read a chapter once, not for each cell
def _uses_ml1m(path):
    return "read_data_ml1m()" in path.read_text(encoding="utf-8")
