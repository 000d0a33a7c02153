"""Save a training run after each epoch, so that an interrupted run can continue.

The file is replaced atomically: a run that is killed loses one epoch at most.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from autorec_d2l.data.loaders import loader_state, restore_loader_state
from autorec_d2l.data.validation import checksum
from autorec_d2l.training.callbacks import Callback, Run
from autorec_d2l.training.distributed import (
    from_first_process,
    rank_and_world_size,
    restore_rng_state,
    rng_state,
)

VERSION = 2


class Checkpoint(Callback):
    """Save the run after each epoch; the same call continues it bit for bit.

    The file holds the states of network, optimizer and the other callbacks, the history, the state
    of torch's random generators, and the order of the next batches. ``num_epochs`` and ``patience``
    may be increased. Random numbers that do not come from torch are not restored.

    Args:
        path: The file; its folder must exist. The processes of ``torchrun`` share one file.
        others: More objects whose state is saved, by name, for example ``scheduler=scheduler``.

    Raises:
        OSError: The file cannot be written.
        TypeError: The state of ``train_iter`` is unknown.
        ValueError: The file is not a checkpoint, a state holds anything but tensors, strings and
            numbers, or the file belongs to another run: another kind of network, callback or
            scheduler, other shapes, ratings or settings of the optimizer.

    Example:
        ``callbacks=[EarlyStopping(5), Checkpoint("run.pt")]``; the checkpoint comes last.
    """

    def __init__(self, path: str | os.PathLike, **others: Any):
        self.path = Path(path).resolve()  # the working folder may change
        self.others = others

    def on_start(self, run: Run) -> None:
        """Create the file, or continue from it."""
        if run.callbacks[-1] is not self:
            raise ValueError("Checkpoint must be the last callback: it saves the other ones")
        kinds = [f"{name}: {type(part).__name__}" for name, part in self._parts(run).items()]
        self.run_id = {
            "parts": ", ".join(kinds),
            "shapes": str([tuple(tensor.shape) for tensor in run.net.state_dict().values()]),
            "optimizer": str(run.trainer.defaults),
            "data": [checksum(data) for data in (run.train_iter, run.test_iter, run.inter_mat)],
            "processes": rank_and_world_size()[1],
        }
        if from_first_process(not self.path.exists()):
            self.on_epoch_end(run)  # what cannot be saved or read fails before the first epoch
            from_first_process(0)  # wait until it is written
        state = read_state(self.path)
        if state["run_id"] != self.run_id:
            raise ValueError(
                f"{self.path} belongs to another run: there {state['run_id']}, here {self.run_id}; "
                "choose another file, or delete this one to start anew"
            )
        epochs = len(state["history"])
        if epochs != from_first_process(epochs):
            raise ValueError(f"the processes must share one file {self.path}, not one each")
        if epochs > run.num_epochs:
            raise ValueError(f"{self.path} holds {epochs} epochs, num_epochs is {run.num_epochs}")
        for name, part in self._parts(run).items():
            part.load_state_dict(state["parts"][name])
        run.history = state["history"]
        restore_loader_state(run.train_iter, state["loader"])
        restore_rng_state(state["rng"], run.devices)

    def on_epoch_end(self, run: Run) -> None:
        """Replace the file; only the first process writes it."""
        state = {
            "format": "autorec_d2l checkpoint",
            "version": VERSION,
            "run_id": self.run_id,
            "history": run.history,
            "parts": {name: part.state_dict() for name, part in self._parts(run).items()},
            "loader": loader_state(run.train_iter),
            "rng": rng_state(run.devices),
        }
        if rank_and_world_size()[0] == 0:
            write_state(state, self.path)

    def _parts(self, run: Run) -> dict[str, Any]:
        """Return everything with a state dict, by name."""
        callbacks = {type(one).__name__: one for one in run.callbacks if hasattr(one, "state_dict")}
        # The optimizer first: if torch refuses its state, the network is still unchanged.
        return {"optimizer": run.trainer, "network": run.net, **callbacks, **self.others}


def write_state(state: dict, path: Path) -> None:
    """Write a file atomically: at every moment it is complete, the old one or the new one.

    Raises ``OSError`` if it cannot be written, for example on a full disk.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:  # also Ctrl-C
        part.unlink(missing_ok=True)
        if isinstance(error, OSError | RuntimeError):  # torch's error for a full disk
            raise OSError(f"{path} could not be written, it is unchanged: {error}") from error
        raise


def read_state(path: Path, kind: str = "checkpoint", version: int = VERSION) -> dict:
    """Return the state in a file of :func:`write_state`, without unpickling objects.

    Raises ``ValueError`` for any other file, a damaged one, and another ``kind`` or ``version``.
    """
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()  # torch does not verify the checksums
        state = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises many types
        raise ValueError(
            f"{path} is not a complete {kind} of tensors, strings and numbers only"
        ) from error
    if not isinstance(state, dict) or state.get("format") != f"autorec_d2l {kind}":
        raise ValueError(f"{path} is not a complete {kind}")
    if state.get("version") != version:
        raise ValueError(
            f"{path} is a {kind} of version {state.get('version')}, this library reads version "
            f"{version}: make it again"
        )
    return state
