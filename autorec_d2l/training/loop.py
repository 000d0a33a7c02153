"""The training loop for all models of the book.

It does no tuning and no I/O: choose settings on a validation part, and call it again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from autorec_d2l.data.loaders import batches_for
from autorec_d2l.data.validation import check_integer, check_shapes, check_trainer
from autorec_d2l.evaluation import evaluator as evaluator_autorec
from autorec_d2l.evaluation import evaluator_mf
from autorec_d2l.training.callbacks import Callback, Run
from autorec_d2l.training.distributed import (
    all_reduce_sum,
    from_first_process,
    parallelize,
    rank_and_world_size,
    shard,
    try_all_gpus,
)

HISTORY = ["train_rmse", "test_rmse", "seconds", "ratings_per_s", "cells_per_s"]


class L2Loss(nn.Module):
    """Half the mean squared difference over *all* cells, as MXNet's Gluon defines it.

    With AutoRec most cells are masked zeros: the value is far below the error of a rating, which
    is why :func:`train_recsys_rating` reports RMSE per observed rating instead.
    """

    def forward(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return a scalar for two tensors of equal shape."""
        return nn.functional.mse_loss(predictions, targets) / 2


def train_recsys_rating(
    net: nn.Module,
    train_iter: Iterable,
    test_iter: Iterable | None,
    loss: nn.Module | Callable[..., torch.Tensor],
    trainer: torch.optim.Optimizer,
    num_epochs: int,
    devices: list[torch.device] | None = None,
    evaluator: Callable[..., float] | None = None,
    inter_mat: Any = None,
    callbacks: Sequence[Callback] = (),
) -> pd.DataFrame:
    """Train a rating model in place and return its history, one row per epoch.

    For a learning-rate schedule with a step per batch, hook it to the trainer:
    ``trainer.register_step_post_hook(lambda *_: scheduler.step())``.

    Args:
        net: The model; it is moved to the first of ``devices``.
        train_iter: Yields batches whose last tensor is the target: ``(users, items, scores)`` for
            MF, each ``(batch,)``; for AutoRec one tensor ``(batch, num_users)``, both input and
            target, in which 0 means "not rated".
        test_iter: What ``evaluator`` iterates over after each epoch; ``None`` for no evaluation.
        loss: Takes predictions and target, and returns a scalar. Where several devices or
            processes share a batch it must be a mean over all cells.
        trainer: The optimizer.
        num_epochs: The number of passes over ``train_iter``.
        devices: All GPUs or the CPU if not given; several share each batch, and so do the
            processes of ``torchrun`` (:mod:`autorec_d2l.training.distributed`).
        evaluator: Called as in d2l, with ``(net, test_iter, inter_mat, devices)`` if ``inter_mat``
            is given and with ``(net, test_iter, devices)`` if not. The default is
            :func:`autorec_d2l.evaluator` or :func:`autorec_d2l.evaluator_mf` accordingly.
        inter_mat: The matrix of held-out ratings, aligned with the rows of ``test_iter``.
        callbacks: For example :class:`EarlyStopping`, :class:`ProgressBar` and, as the last one,
            :class:`Checkpoint`.

    Returns:
        A table with ``train_rmse`` (stars per observed rating, in training mode, while the weights
        move), ``test_rmse`` (stars; NaN without evaluation), ``seconds`` (of training, without
        evaluation), ``ratings_per_s`` and ``cells_per_s``.

    Raises:
        FloatingPointError: The loss is not finite.
        TypeError: A batch that holds anything but tensors or arrays of numbers, or a mask.
        ValueError: ``num_epochs`` below 1, an epoch without batches, predictions of another shape
            than the target, a negative rating in a dense target, and a ``trainer`` of another
            network.

    Example:
        See ``README.md``: AutoRec on MovieLens-100K in twenty lines.
    """
    num_epochs = check_integer(num_epochs, "num_epochs")
    check_trainer(net, trainer)
    devices = devices or try_all_gpus()
    parallel_net = parallelize(net, devices)
    run = Run(net, trainer, train_iter, test_iter, inter_mat, num_epochs, devices, callbacks)
    for callback in callbacks:
        callback.on_start(run)
    try:
        while len(run.history) < num_epochs and not should_stop(callbacks):
            row = train_epoch(parallel_net, train_iter, loss, trainer, devices[0])
            run.history.append(row | {"test_rmse": evaluate(run, evaluator)})
            for callback in callbacks:
                callback.on_epoch_end(run)
    except KeyboardInterrupt:
        if not run.returns_on_interrupt:
            raise
        print(f"interrupted after {len(run.history)} of {num_epochs} epochs")
    for callback in callbacks:
        callback.on_end(run)
    index = pd.RangeIndex(1, len(run.history) + 1, name="epoch")
    return pd.DataFrame(run.history, index=index, columns=HISTORY)


def should_stop(callbacks: Sequence[Callback]) -> bool:
    """Return whether a callback of any process ends the run, the same in all processes."""
    is_over = any(callback.should_stop() for callback in callbacks)
    return bool(all_reduce_sum(torch.tensor(float(is_over))))


def evaluate(run: Run, evaluator: Callable[..., float] | None) -> float:
    """Return the test RMSE, the same in all processes; NaN without ``test_iter``."""
    if run.test_iter is None:
        return math.nan
    test_data = [run.test_iter] if run.inter_mat is None else [run.test_iter, run.inter_mat]
    default: Callable[..., float] = evaluator_mf if run.inter_mat is None else evaluator_autorec
    return from_first_process(float((evaluator or default)(run.net, *test_data, run.devices)))


def train_epoch(
    net: nn.Module,
    train_iter: Iterable,
    loss: Callable[..., torch.Tensor],
    trainer: torch.optim.Optimizer,
    device: torch.device | None = None,
) -> dict[str, float]:
    """Train for one epoch, in place; return its row of the history, without ``test_rmse``."""
    net.train()
    start, sums, num_cells = time.perf_counter(), [], 0
    for batch in batches_for(net, train_iter, device):
        *inputs, target = shard(batch)  # all of it, unless several processes share the batch
        predictions = net(*(inputs or [target]))  # AutoRec reconstructs its input
        check_shapes(predictions, target)
        batch_loss = loss(predictions, target) * gradient_weight(target, batch)
        trainer.zero_grad()
        batch_loss.backward()
        trainer.step()
        sums.append(batch_sums(batch_loss, predictions, target))
        num_cells += batch[-1].numel()
    return summarize(sums, num_cells, start)


def gradient_weight(target: torch.Tensor, batch: Sequence[torch.Tensor]) -> float:
    """Return the weight of a process' loss: 1 for a single process.

    DDP averages the gradients of the processes. Weighted by their numbers of rows, their means
    over cells average to the mean over the whole batch.
    """
    return rank_and_world_size()[1] * len(target) / max(len(batch[-1]), 1)


@torch.no_grad()
def batch_sums(
    batch_loss: torch.Tensor, predictions: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """Return loss, sum of squared errors, number of ratings and of negative cells, ``(4,)``.

    The sums stay on the device: reading them would make each batch wait for it.
    """
    is_rated = target != 0 if target.ndim > 1 else torch.ones_like(target)
    squared_error = ((predictions - target) * is_rated).square().sum()
    num_negative = (target < 0).sum() if target.ndim > 1 else torch.zeros_like(squared_error)
    parts = [batch_loss.detach(), squared_error, is_rated.sum(), num_negative]
    dtype = torch.promote_types(squared_error.dtype, torch.float32)
    return torch.stack([part.to(dtype) for part in parts])


def summarize(sums: list[torch.Tensor], num_cells: int, start: float) -> dict[str, float]:
    """Return an epoch's row of the history from its :func:`batch_sums`.

    Raises ``FloatingPointError`` for a loss that is not finite, and ``ValueError`` for a negative
    rating in a dense matrix, whose sign AutoRec takes for its mask.
    """
    total = all_reduce_sum(torch.stack(sums).cpu().double().sum(0))  # not all devices have float64
    loss, squared_error, num_ratings, num_negative = total.tolist()
    seconds = time.perf_counter() - start  # now that the device has finished
    if not math.isfinite(loss):
        raise FloatingPointError(
            "the loss is not finite: look for NaN in the data, or lower the learning rate"
        )
    if num_negative:
        raise ValueError(
            "a dense matrix holds negative ratings; 0 means 'not rated', so ratings must be above "
            "0: add a constant, or use autorec_d2l.sparse"
        )
    return {
        "train_rmse": math.sqrt(squared_error / num_ratings) if num_ratings else math.nan,
        "seconds": seconds,
        "ratings_per_s": num_ratings / seconds,
        "cells_per_s": num_cells / seconds,
    }
