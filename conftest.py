"""Make the literal `pytest --nbval book` right, from any working directory."""

import functools
import os

import pytest

CELL_SECONDS = 600  # a chapter takes minutes; a cell that takes ten hangs
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
    # The kernels inherit these; `tools/execute_notebooks.py` sets the same. One thread each: two
    # processes whose threads wait for each other's cores take many times as long.
    os.environ.update(TQDM_DISABLE="1", PYTHONHASHSEED="0", OMP_NUM_THREADS="1")
    os.environ.pop("MPLBACKEND", None)


def pytest_collection_modifyitems(items) -> None:
    """Skip the chapters on MovieLens-1M, and say why, only where it cannot be had."""
    needy = [item for item in items if item.path.suffix == ".ipynb" and _needs_ml1m(item.path)]
    if not needy:
        return
    from autorec_d2l.data.download import DataUnavailableError, fetch

    try:
        fetch("ml-1m")
    except DataUnavailableError as error:
        for item in needy:
            item.add_marker(pytest.mark.skip(reason=" ".join(str(error).split())))


@functools.cache  # one look a chapter, not one a cell
def _needs_ml1m(path):
    return "read_data_ml1m()" in path.read_text(encoding="utf-8")
