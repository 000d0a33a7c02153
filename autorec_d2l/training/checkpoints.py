"""Save a training run after each epoch, so that an interrupted run can continue.

The file is complete at every moment: a kill costs at most one epoch.
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
    all_reduce_sum,
    rank_and_world_size,
    restore_rng_state,
    rng_state,
)

VERSION = 2


class Checkpoint(Callback):
    """Save the run after each epoch; the same call continues it bit for bit.

    The file holds network, optimizer, the other callbacks, the history, torch's RNG state and the
    order of the next batches. ``num_epochs`` and ``patience`` may grow. Random numbers that a data
    set draws from anywhere but torch are not saved.

    Args:
        path: The file; its folder must exist. The processes of ``torchrun`` share one file.
        others: What else has a state, by name, for example ``scheduler=scheduler``.

    Raises:
        OSError: A ``path`` that cannot be written.
        TypeError: A state that can only be read by unpickling, or a ``train_iter`` without one.
        ValueError: A file that is not a checkpoint, or is one of another run: of other shapes,
            other ratings, or another optimizer.

    Example:
        ``callbacks=[EarlyStopping(5), Checkpoint("run.pt")]``, the checkpoint last
    """

    def __init__(self, path: str | os.PathLike, **others: Any):
        self.path = Path(path).resolve()  # also after a change of the working folder
        self.others = others

    def on_start(self, run: Run) -> None:
        """Create the file, or continue from it."""
        if run.callbacks[-1] is not self:
            raise ValueError(
                "Checkpoint must be the last callback, to save the state of the others"
            )
        self.run_id = {
            "data": checksum([run.train_iter, run.test_iter]),
            "optimizer": f"{type(run.trainer).__name__} {run.trainer.defaults}",
            "processes": rank_and_world_size()[1],
        }
        is_new = self._is_new()
        if is_new:  # whatever cannot be saved or read fails now, not after the first epoch
            self.on_epoch_end(run)
            all_reduce_sum(torch.zeros(1))  # wait for the first process
        try:
            state = read_state(self.path)
        except ValueError as error:
            if not is_new:
                raise
            self.path.unlink(missing_ok=True)
            raise TypeError(
                "a checkpoint holds tensors, strings and numbers; the optimizer, a callback or "
                "train_iter has something else in its state"
            ) from error
        self._restore(run, state)

    def _is_new(self) -> bool:
        """Return whether the file must be created, the same in all processes."""
        world_size = rank_and_world_size()[1]
        missing = int(all_reduce_sum(torch.tensor(float(not self.path.exists()))))
        if 0 < missing < world_size:
            raise ValueError(f"{missing} of {world_size} processes do not see the file {self.path}")
        return missing > 0

    def _restore(self, run: Run, state: dict[str, Any]) -> None:
        hint = "choose another file, or delete this one to start anew"
        for name, value in self.run_id.items():
            if state["run_id"][name] != value:
                raise ValueError(
                    f"{self.path} belongs to another run: its {name} is {state['run_id'][name]}, "
                    f"here it is {value}; {hint}"
                )
        if len(state["history"]) > run.num_epochs:
            raise ValueError(
                f"{self.path} holds {len(state['history'])} epochs, num_epochs is {run.num_epochs}"
            )
        try:
            for name, part in self._parts(run).items():
                part.load_state_dict(state["parts"][name])
        except (KeyError, RuntimeError, ValueError) as error:
            message = " ".join(str(error).split())
            raise ValueError(f"{self.path} belongs to another run: {message}; {hint}") from error
        run.history = state["history"]
        restore_loader_state(run.train_iter, state["loader"])
        restore_rng_state(state["rng"], run.devices)

    def on_epoch_end(self, run: Run) -> None:
        """Replace the file; of several processes the first one writes it."""
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
        """Return what has a state dict, by name."""
        callbacks = {type(one).__name__: one for one in run.callbacks if hasattr(one, "state_dict")}
        return {"network": run.net, "optimizer": run.trainer, **callbacks, **self.others}


def write_state(state: dict, path: Path) -> None:
    """Write a file that at every moment is the complete old one or the complete new one.

    Raises ``OSError`` where it cannot be written, as on a full disk.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:  # Ctrl-C leaves no part behind either
        part.unlink(missing_ok=True)
        if isinstance(error, OSError | RuntimeError):  # torch's error for a full disk
            raise OSError(
                f"{path} could not be written; an older one is intact: {error}"
            ) from error
        raise


def read_state(path: Path, kind: str = "checkpoint", version: int = VERSION) -> dict:
    """Return the state of a ``kind`` that :func:`write_state` wrote; nothing is unpickled.

    Raises ``ValueError`` for any other file, and one that is damaged or of another version.
    """
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()  # torch does not compare the checksums
        state = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch has many errors for a file of another kind
        raise ValueError(f"{path} is not a complete {kind}") from error
    if not isinstance(state, dict) or state.get("format") != f"autorec_d2l {kind}":
        raise ValueError(f"{path} is not a complete {kind}")
    if state.get("version") != version:
        raise ValueError(
            f"{path} is a {kind} of version {state.get('version')}, this library reads version "
            f"{version}: delete it to start anew, or use the library that wrote it"
        )
    return state
