"""One training loop for all models of the book.

It is not about files or tuning: choose settings on a validation part, and call it again.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from autorec_d2l.batches import Matrix, as_numbers
from autorec_d2l.checkpoints import Checkpoint
from autorec_d2l.checks import check_trained, whole_number
from autorec_d2l.devices import add_up, device_list, own_rows, parallelize, rank_and_size
from autorec_d2l.epochs import best_epoch, evaluation_of
from autorec_d2l.scale import STARS, Scale

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
    inter_mat: Matrix | None = None,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    *,
    scale: Scale | None = STARS,
    verbose: bool = True,
    patience: int | None = None,
    checkpoint: str | Path | None = None,
) -> pd.DataFrame:
    """Train a rating model in place and return its history, one row an epoch.

    Args:
        net: The model; it is moved to the first of ``devices``.
        train_iter: Gives batches whose last tensor is the target: ``(users, items, scores)`` for
            MF, each ``(batch,)``; for AutoRec one tensor ``(batch, num_users)``, input and target
            in one, in which 0 means "not rated".
        test_iter: What ``evaluator`` goes through after each epoch; ``None`` for no evaluation.
        loss: Takes predictions and target, and returns a scalar. Where several devices or
            processes share a batch it must be a mean over all cells.
        trainer: The optimizer.
        num_epochs: How many times to go through ``train_iter``.
        devices: All GPUs or the CPU unless named; several share each batch, and so do the
            processes of ``torchrun`` (:mod:`autorec_d2l.devices`).
        evaluator: Called as in d2l, with ``(net, test_iter, inter_mat, devices)`` if ``inter_mat``
            is given and with ``(net, test_iter, devices)`` if not.
        inter_mat: The matrix of held-out ratings, aligned with the rows of ``test_iter``.
        scheduler: Makes a step after each batch.
        scale: What ratings can be, checked in the first epoch. ``None`` if the targets are no
            ratings: every cell counts, also 0.
        verbose: Whether to show a progress bar and a last line. Ctrl-C ends a training that is
            shown and returns its finished epochs; one that is not shown passes Ctrl-C on.
        patience: Stop when ``test_rmse`` has not fallen for so many epochs, and leave the network
            with the weights of its best epoch, ``history["test_rmse"].idxmin()``. A choice is made
            by ``test_iter`` then, so it has to be a validation part.
        checkpoint: A file for the state of the run, replaced after each epoch. The same call goes
            on from there bit for bit (:class:`autorec_d2l.checkpoints.Checkpoint`).

    Returns:
        A table with ``train_rmse`` (stars per observed rating, in training mode, while the weights
        move), ``test_rmse`` (stars; NaN without evaluation), ``seconds`` (of training, without
        evaluation), ``ratings_per_s`` and ``cells_per_s``.

    Raises:
        FloatingPointError: The loss is not finite; the message names the epoch.
        TypeError: A batch that is no tensor, no array of numbers, and no list of these.
        ValueError: ``num_epochs`` or ``patience`` below 1, an epoch without batches, a target off
            the ``scale`` or of another shape than the prediction, a network with an empty parameter
            and a ``trainer`` or ``scheduler`` of another one. A ``checkpoint`` has its own errors.

    Example:
        See ``README.md``: AutoRec on MovieLens-100K in twenty lines.
    """
    num_epochs = whole_number(num_epochs, "num_epochs")
    if patience is not None and (whole_number(patience, "patience") and test_iter is None):
        raise ValueError("patience needs a test_iter: it waits for test_rmse to fall")
    check_trained(net, trainer, scheduler)
    devices = device_list(devices)
    parts = {"network": net, "loss": loss, "optimizer": trainer, "scheduler": scheduler}
    data = {"train_iter": train_iter, "test_iter": test_iter, "inter_mat": inter_mat}
    settings = {"scale": scale, "early stopping": patience is not None}
    saved = checkpoint is not None and Checkpoint(checkpoint, devices, parts, data, settings)
    parallel = parallelize(net, devices)
    evaluate = evaluation_of(net, test_iter, inter_mat, devices, evaluator, scale)
    history, best = saved.start(num_epochs) if saved else ([], None)
    silent = {} if verbose else {"disable": True}  # a False would overrule TQDM_DISABLE=1
    epochs = range(len(history) + 1, num_epochs + 1)
    with tqdm(epochs, initial=len(history), total=num_epochs, unit="epoch", **silent) as progress:
        try:
            for epoch in progress:
                if patience and history and len(history) - best_epoch(history) >= patience:
                    break
                row = _train_epoch(
                    parallel, train_iter, loss, trainer, devices[0], scheduler, scale, epoch
                )
                history.append(row | {"test_rmse": float(evaluate())})
                if patience and best_epoch(history) == epoch:
                    best = copy.deepcopy(net.state_dict())
                if saved:
                    saved.save(history, best)
                progress.set_postfix(_shown(history[-1]))
        except KeyboardInterrupt:
            if not verbose:
                raise
            print(f"stopped by hand after {len(history)} of {num_epochs} epochs")
    if best is not None:
        net.load_state_dict(best)
    if history and verbose:
        row = history[best_epoch(history) - 1 if patience else -1]
        print("train RMSE {train_rmse:.3f}, test RMSE {test_rmse:.3f} stars".format(**row))
    index = pd.RangeIndex(1, len(history) + 1, name="epoch")
    return pd.DataFrame(history, index=index, columns=HISTORY)


def _shown(row: dict[str, float]) -> dict[str, str]:
    """Return what the progress bar shows of an epoch."""
    shown = {name: f"{row[name]:.4g}" for name in HISTORY[:2]}
    return shown | {"ratings/s": f"{row['ratings_per_s']:.3g}"}


def _train_epoch(net, train_iter, loss, trainer, device, scheduler, scale, epoch) -> dict:
    """Go through ``train_iter`` once; sums stay on the device, so that no batch waits for them."""
    net.train()
    start, cells = time.perf_counter(), 0
    sums = torch.zeros(3, dtype=torch.float64, device=device)  # loss, squared error, ratings
    for number, batch in enumerate(as_numbers(batch, net) for batch in train_iter):
        if scale and epoch == 1:  # ratings stay what they are
            check = scale.check_matrix if batch[-1].ndim > 1 else scale.check
            check(batch[-1], f"ratings in batch {number} of train_iter")
        *features, target = [tensor.to(device) for tensor in own_rows(batch)]
        predictions = net(*features) if features else net(target)  # AutoRec rebuilds its input
        if predictions.shape != target.shape:  # torch would compare each with each
            raise ValueError(
                f"the network predicts {tuple(predictions.shape)}, but the target, the last tensor "
                f"of a batch, is {tuple(target.shape)}"
            )
        # The gradients of the processes are averaged. Weighted by the rows of each, the means
        # over all cells of their rows make the mean over all cells of the batch, exactly.
        share = rank_and_size()[1] * len(target) / max(len(batch[-1]), 1)  # of one process: 1
        batch_loss = loss(predictions, target) * share
        trainer.zero_grad()
        batch_loss.backward()
        trainer.step()
        if scheduler is not None:
            scheduler.step()
        with torch.no_grad():
            # Not an index by a mask: its size would have to be known, and the device waited for.
            rated = target != 0 if scale and target.ndim > 1 else torch.ones_like(target)
            squared_error = ((predictions - target) * rated).square().sum()
            sums += torch.stack([batch_loss.double(), squared_error.double(), rated.sum().double()])
        cells += batch[-1].numel()
    if cells == 0:
        raise ValueError(
            f"train_iter gives no batch in epoch {epoch}: it has fewer rows than a batch, or can "
            "be used only once, as a generator; a list or a DataLoader starts anew"
        )
    return _summary(add_up(sums).tolist(), cells, start, epoch)  # waits for the device


def _summary(sums, cells, start, epoch) -> dict[str, float]:
    """Return an epoch's row of the history, or raise if its loss is not finite."""
    seconds, (loss, squared_error, ratings) = time.perf_counter() - start, sums
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the loss is not finite in epoch {epoch}: look for NaN in the data, "
            "or lower the learning rate"
        )
    return {
        "train_rmse": math.sqrt(squared_error / ratings) if ratings else math.nan,
        "seconds": seconds,
        "ratings_per_s": ratings / seconds,
        "cells_per_s": cells / seconds,
    }
