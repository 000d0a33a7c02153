"""What a training run does besides training: early stopping and a progress bar.

A callback is any object with the attributes of :class:`Callback`. One with ``state_dict()`` and
``load_state_dict(state)`` is saved by :class:`autorec_d2l.training.Checkpoint`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from autorec_d2l.data.validation import check_integer


@dataclass
class Run:
    """A training run as callbacks see it."""

    net: nn.Module
    trainer: torch.optim.Optimizer
    train_iter: Any
    test_iter: Any  # None: nothing is evaluated
    num_epochs: int
    devices: list[torch.device]
    callbacks: Sequence[Callback]
    history: list[dict[str, float]] = field(default_factory=list)  # one row per finished epoch
    returns_on_interrupt: bool = False  # whether Ctrl-C returns the finished epochs


class Callback:
    """The base class: it does nothing."""

    should_stop = False  # asked before each epoch

    def on_start(self, run: Run) -> None:
        """Prepare, before the first epoch."""

    def on_epoch_end(self, run: Run) -> None:
        """React to the epoch ``run.history[-1]``."""

    def on_end(self, run: Run) -> None:
        """Finish, after the last epoch or Ctrl-C."""


class EarlyStopping(Callback):
    """Stop after ``patience`` epochs without a lower ``test_rmse``; restore the best weights.

    The test data of the run choose the epoch, so they must be a validation part. The best epoch is
    ``history["test_rmse"].idxmin()``.

    Raises ``ValueError`` for a ``patience`` below 1 and a run without ``test_iter``.
    """

    def __init__(self, patience: int):
        self.patience = check_integer(patience, "patience")
        self.epoch, self.best_epoch, self.best_rmse = 0, 0, math.inf
        self.weights: dict[str, torch.Tensor] | None = None

    @property
    def should_stop(self) -> bool:  # type: ignore[override]
        """Whether ``patience`` epochs have passed since the best one."""
        return self.epoch - self.best_epoch >= self.patience

    def on_start(self, run: Run) -> None:
        """Forget an earlier run."""
        if run.test_iter is None:
            raise ValueError("EarlyStopping needs a test_iter, which gives test_rmse")
        self.__init__(self.patience)  # type: ignore[misc]

    def on_epoch_end(self, run: Run) -> None:
        """Keep the weights of the best epoch so far."""
        self.epoch, rmse = len(run.history), run.history[-1]["test_rmse"]
        if rmse < self.best_rmse:
            self.best_epoch, self.best_rmse = self.epoch, rmse
            self.weights = copy.deepcopy(run.net.state_dict())

    def on_end(self, run: Run) -> None:
        """Restore the best weights."""
        if self.weights is not None:
            run.net.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {name: part for name, part in vars(self).items() if name != "patience"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state of a checkpoint."""
        vars(self).update(state)


class ProgressBar(Callback):
    """Show the epochs and their RMSE; with it, Ctrl-C ends the run and returns its history."""

    def on_start(self, run: Run) -> None:
        """Open the bar."""
        run.returns_on_interrupt = True
        self.bar = tqdm(total=run.num_epochs, unit="epoch")

    def on_epoch_end(self, run: Run) -> None:
        """Advance the bar."""
        row = run.history[-1]
        self.bar.update(len(run.history) - self.bar.n)  # a resumed run starts further on
        self.bar.set_postfix({name: f"{row[name]:.4g}" for name in ("train_rmse", "test_rmse")})

    def on_end(self, run: Run) -> None:
        """Close the bar."""
        self.bar.close()
