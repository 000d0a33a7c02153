"""Make the literal `pytest --nbval book` right, from any working directory."""

import os

CELL_SECONDS = 600  # a chapter takes minutes; a cell that takes ten hangs
NBVAL_SECONDS = 2000  # nbval's own default


def pytest_configure(config):
    """Set nbval's options here: in `addopts` they would break pytest where nbval is missing."""
    option = config.option
    if not (getattr(option, "nbval", False) or getattr(option, "nbval_lax", False)):
        return
    if option.nbval_kernel_name is None:
        option.nbval_current_env = True  # whatever kernels the machine has registered
    if option.nbval_cell_timeout == NBVAL_SECONDS:
        option.nbval_cell_timeout = CELL_SECONDS
    # The kernels inherit these. `.ci/store` sets the same, so that outputs can be compared.
    os.environ.update(TQDM_DISABLE="1", PYTHONHASHSEED="0")
    os.environ.pop("MPLBACKEND", None)
