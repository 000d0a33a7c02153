"""What a training run does besides training: early stopping and a progress bar."""

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
    inter_mat: Any
    num_epochs: int
    devices: list[torch.device]
    callbacks: Sequence[Callback]
    history: list[dict[str, float]] = field(default_factory=list)  # one row per finished epoch
    returns_on_interrupt: bool = False  # whether Ctrl-C returns the finished epochs


class Callback:
    """The base class, whose methods do nothing.

    If a callback has ``state_dict()`` and ``load_state_dict(state)``,
    :class:`autorec_d2l.training.Checkpoint` saves its state.

    Example:
        A schedule that depends on the test RMSE, which needs no step per batch::

            class Plateau(Callback):
                def on_epoch_end(self, run):
                    reduce_lr_on_plateau.step(run.history[-1]["test_rmse"])
    """

    def on_start(self, run: Run) -> None:
        """Prepare for a run, before its first epoch."""

    def should_stop(self) -> bool:
        """Return whether to end the run; called before each epoch."""
        return False

    def on_epoch_end(self, run: Run) -> None:
        """Process an epoch, whose row is ``run.history[-1]``."""

    def on_end(self, run: Run) -> None:
        """Finish, after the last epoch or Ctrl-C."""


class EarlyStopping(Callback):
    """Stop after ``patience`` epochs without a lower ``test_rmse`` and restore the best weights.

    ``test_iter`` chooses the epoch here, so it must be a validation part. The best epoch is
    ``history["test_rmse"].idxmin()``.

    Raises ``ValueError`` for a ``patience`` below 1, and for a run without ``test_iter``.
    """

    def __init__(self, patience: int):
        self.patience = check_integer(patience, "patience")

    def on_start(self, run: Run) -> None:
        """Reset the best epoch."""
        if run.test_iter is None:
            raise ValueError("EarlyStopping needs a test_iter, on which test_rmse is computed")
        self.epoch, self.best_epoch, self.best_rmse = 0, 0, math.inf
        self.weights: dict[str, torch.Tensor] | None = None

    def should_stop(self) -> bool:
        """Return whether ``patience`` epochs have passed since the best one."""
        return self.epoch - self.best_epoch >= self.patience

    def on_epoch_end(self, run: Run) -> None:
        """Keep the weights of the best epoch so far."""
        self.epoch, rmse = len(run.history), run.history[-1]["test_rmse"]
        if rmse < self.best_rmse:
            self.best_epoch, self.best_rmse = self.epoch, rmse
            self.weights = None  # before the copy, so that there are never two
            self.weights = copy.deepcopy(run.net.state_dict())

    def on_end(self, run: Run) -> None:
        """Restore the best weights."""
        if self.weights is not None:
            run.net.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {name: value for name, value in vars(self).items() if name != "patience"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state of a checkpoint."""
        vars(self).update(state)


class ProgressBar(Callback):
    """Show epochs and RMSE; with it Ctrl-C ends the run and returns the finished epochs."""

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
