"""The whole state of a training run in one file, so that the run goes on where it ended.

The file is written after each epoch and is always whole: a kill at any moment costs one epoch.
:func:`autorec_d2l.train_recsys_rating` uses it when it is given a ``checkpoint``.
"""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path
from textwrap import shorten

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from autorec_d2l.checks import checksum
from autorec_d2l.devices import add_up, random_state, rank_and_size, restore_random
from autorec_d2l.order import describe_order, order_of, restore_order

FORMAT, VERSION = "autorec_d2l checkpoint", 1
MOVED = {"lr", "momentum", "betas"}  # what a scheduler changes in an optimizer
COUNTS = {"last_epoch", "T_cur", "T_i"}  # and in itself


class Checkpoint:
    """The file of one run: :meth:`start` makes or reads it, :meth:`save` replaces it.

    It holds the network, the optimizer, the scheduler, the history, the best weights, torch's
    random state and the order of the next batches. A run that is over returns at once;
    ``num_epochs`` and ``patience`` may grow. What a data set draws from other random numbers than
    torch's is not held, and ``test_iter`` is taken to give the same batches each time.

    Args:
        path: The file; its folder has to exist.
        devices: Where the run trains. The processes of ``torchrun`` share one file.
        parts: What has a state dict, by name; ``None`` and functions have none.
        data: ``train_iter``, whose order goes on, and ``test_iter`` and ``inter_mat``.
        settings: What else has to be the same when the run goes on.

    Raises:
        FileNotFoundError, IsADirectoryError: A ``path`` that cannot become a file.
        TypeError: A ``train_iter`` whose state cannot be held.
    """

    def __init__(self, path: str | Path, devices, parts: dict, data: dict, settings: dict):
        self.path = Path(path).resolve()  # also after a change of the working folder
        if self.path.is_dir():
            raise IsADirectoryError(f"checkpoint must be a file, {self.path} is a folder")
        if not self.path.parent.is_dir():
            raise FileNotFoundError(
                f"checkpoint needs the folder {self.path.parent}, which is not there: make it first"
            )
        self.devices, self.train_iter = devices, data["train_iter"]
        self.parts = {name: part for name, part in parts.items() if hasattr(part, "state_dict")}
        settings = settings | {name: _words(part) for name, part in parts.items()}
        settings |= {f"data in {name}": checksum(part) for name, part in data.items()}
        settings |= {
            "order of train_iter": describe_order(self.train_iter),
            "seed of torch": torch.initial_seed(),
            "list of devices": ", ".join(map(str, devices)),
            "number of processes": rank_and_size()[1],
        }
        self.settings = {name: str(setting) for name, setting in settings.items()}

    def start(self, num_epochs: int) -> tuple[list[dict], dict | None]:
        """Put a run of ``num_epochs`` where its file is; return its history and best weights.

        Without a file one is written first, and read as well: what can fail, fails before the
        first epoch.

        Raises ``ValueError`` for a file that is no checkpoint, or that of another run,
        ``OSError`` where the file cannot be read or written, and ``TypeError`` for a state that
        could be read again only by unpickling.
        """
        device, size = self.devices[0], rank_and_size()[1]
        missing = int(add_up(torch.tensor(float(not self.path.exists()), device=device)))
        if missing == size:
            self.save([], None)
            add_up(torch.zeros(1, device=device))  # the others wait for the first process
        elif missing:
            raise ValueError(f"{missing} of {size} processes do not see the file {self.path}")
        try:
            state = read_state(self.path)
        except ValueError as error:
            if not missing:
                raise
            self.path.unlink(missing_ok=True)
            raise TypeError(
                "a checkpoint holds tensors, words and Python's own numbers; the optimizer, the "
                "scheduler, the loss or train_iter has something else in its state"
            ) from error
        for name, new in self.settings.items():
            old = state["settings"].get(name, "none")
            if old != new:
                raise ValueError(
                    f"{self.path} is of another run: its {name} is {shorten(old, 200)}, here it is "
                    f"{shorten(new, 200)}; name another file, or remove this one to start anew"
                )
        if len(state["history"]) > num_epochs:
            raise ValueError(
                f"{self.path} is of {len(state['history'])} epochs, num_epochs is {num_epochs}"
            )
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        restore_order(self.train_iter, state["order"])
        restore_random(state["random"], self.devices)
        return state["history"], state["best"]

    def save(self, history: list[dict], best: dict | None) -> None:
        """Replace the file by the present state; of several processes the first one does it."""
        state = {
            "format": FORMAT,
            "version": VERSION,
            "settings": self.settings,
            "history": history,
            "best": best,
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "order": order_of(self.train_iter),
            "random": random_state(self.devices),
        }
        if rank_and_size()[0] == 0:
            write_state(state, self.path)


def write_state(state: dict, path: Path) -> None:
    """Write a file that is the old one or the new one at any moment, never a part of one.

    Raises ``OSError`` where it cannot be written, as on a full disk.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:  # Ctrl-C as well leaves no part behind
        part.unlink(missing_ok=True)
        if isinstance(error, OSError | RuntimeError):  # torch's own word for a full disk
            raise OSError(f"{path} could not be written, an older one is whole: {error}") from error
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
    except Exception as error:  # torch has many words for a file of another kind
        raise ValueError(f"{path} is no {kind}, or not a whole one") from error
    if not isinstance(state, dict) or state.get("format") != f"autorec_d2l {kind}":
        raise ValueError(f"{path} is no {kind}, or not a whole one")
    if state.get("version") != version:
        raise ValueError(
            f"{path} is a {kind} of version {state.get('version')}, this library reads version "
            f"{version}: use the one that wrote it, or remove the file to start anew"
        )
    return state


def _words(part: object) -> str:
    """Say what a part of a run is, in words that stay while it runs and in another process."""
    words = getattr(part, "__name__", repr(part))
    if isinstance(part, nn.Module):
        tensors = [*part.named_parameters(), *part.named_buffers()]
        words += f" {[(name, *tensor.shape, tensor.dtype) for name, tensor in tensors]}"
    elif isinstance(part, Optimizer):
        words = type(part).__name__
        for group in part.param_groups:
            skipped = MOVED if "initial_lr" in group else set()  # there is a scheduler
            options = {name: group[name] for name in group if name not in skipped | {"params"}}
            words += f" of {len(group['params'])} tensors {options}"
    elif isinstance(part, LRScheduler):
        state = part.state_dict().items()
        fixed = {name: value for name, value in state if name[0] != "_" and name not in COUNTS}
        words = f"{type(part).__name__} {fixed}"
    return re.sub(r" at 0x\w+", "", words)
