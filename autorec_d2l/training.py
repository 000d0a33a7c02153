"""One training loop for all models of the book.

It is not about early stopping, checkpoints or tuning: choose those on a validation part and call
it again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

import pandas as pd
import torch
from torch import distributed as dist
from torch import nn
from tqdm import tqdm

from autorec_d2l import evaluation
from autorec_d2l.devices import own_rows, parallelize, rank_and_size, try_all_gpus

HISTORY = ["train_rmse", "test_rmse", "seconds", "ratings_per_s", "cells_per_s"]


class L2Loss(nn.Module):
    """Half the mean squared difference over *all* cells, as MXNet's Gluon defines it.

    With AutoRec most cells are masked zeros: the value is far below the error of a rating, which
    is why :func:`train_recsys_rating` reports RMSE per observed rating instead.
    """

    def forward(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return a scalar for two tensors of equal shape."""
        return nn.functional.mse_loss(predictions, targets) / 2


def get_dataloader_workers() -> int:
    """Return 0: MovieLens lies in memory, and worker processes would only copy it about."""
    return 0


def train_recsys_rating(
    net: nn.Module,
    train_iter: Iterable,
    test_iter: Iterable,
    loss: nn.Module,
    trainer: torch.optim.Optimizer,
    num_epochs: int,
    devices: list[torch.device] | None = None,
    evaluator: Callable[..., float] | None = None,
    inter_mat: torch.Tensor | None = None,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
) -> pd.DataFrame:
    """Train a rating model in place and return its history, one row an epoch.

    ``train_iter`` gives batches whose last tensor is the target: ``(users, items, scores)`` for
    MF, or one tensor ``(batch, num_users)``, input and target in one, for AutoRec. A target of 0
    means "not rated". ``devices`` are all GPUs or the CPU unless named; several share each batch,
    and so do the processes of ``torchrun`` (:mod:`autorec_d2l.devices`); ``loss`` must then be a
    mean over all cells. ``evaluator`` is called as in d2l: with ``(net, test_iter, inter_mat,
    devices)`` if the test matrix ``inter_mat`` is given, else with ``(net, test_iter, devices)``.
    ``scheduler`` makes a step after each batch.

    The history has ``train_rmse`` (stars per observed rating, in training mode, while the weights
    move), ``test_rmse``, ``seconds`` (of training, without evaluation), ``ratings_per_s`` and
    ``cells_per_s``. Ctrl-C ends the training and returns the finished epochs.

    Raises ``FloatingPointError``, naming the epoch, if the loss is not finite, and ``ValueError``
    for ``num_epochs`` below 1 and an empty ``train_iter``.
    """
    if num_epochs < 1:
        raise ValueError(f"num_epochs must be at least 1, got {num_epochs}")
    devices = devices or try_all_gpus()
    parallel = parallelize(net, devices)
    history = []
    with tqdm(range(1, num_epochs + 1), unit="epoch") as progress:
        try:
            for epoch in progress:
                row = _train_epoch(parallel, train_iter, loss, trainer, devices[0], scheduler)
                _check_finite(row.pop("loss"), epoch)
                row["test_rmse"] = _evaluate(net, test_iter, devices, evaluator, inter_mat)
                history.append(row)
                progress.set_postfix(_shown(row))
        except KeyboardInterrupt:
            print(f"stopped by hand after {len(history)} of {num_epochs} epochs")
    if history:
        print("train RMSE {train_rmse:.3f}, test RMSE {test_rmse:.3f} stars".format(**history[-1]))
    index = pd.RangeIndex(1, len(history) + 1, name="epoch")
    return pd.DataFrame(history, index=index, columns=HISTORY)


def _shown(row: dict[str, float]) -> dict[str, str]:
    """Return what the progress bar shows of an epoch."""
    shown = {name: f"{row[name]:.4g}" for name in HISTORY[:2]}
    return shown | {"ratings/s": f"{row['ratings_per_s']:.3g}"}


def _check_finite(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the loss is not finite in epoch {epoch}: look for NaN in the data, "
            "or lower the learning rate"
        )


def _train_epoch(net, train_iter, loss, trainer, device, scheduler) -> dict[str, float]:
    """Go through ``train_iter`` once; sums stay on the device, so that no batch waits for them."""
    _, size = rank_and_size()
    net.train()
    start, cells = time.perf_counter(), 0
    sums = torch.zeros(3, dtype=torch.float64, device=device)  # loss, squared error, ratings
    for batch in train_iter:
        batch = [batch] if isinstance(batch, torch.Tensor) else batch
        *features, target = [tensor.to(device) for tensor in own_rows(batch)]
        predictions = net(*features or [target])
        # The gradients of the processes are averaged. Weighted by the rows of each, the means
        # over all cells of their rows make the mean over all cells of the batch, exactly.
        batch_loss = loss(predictions, target) * (size * len(target) / max(len(batch[-1]), 1))
        trainer.zero_grad()
        batch_loss.backward()
        trainer.step()
        if scheduler is not None:
            scheduler.step()
        with torch.no_grad():
            # Not an index by the mask: its size would have to be known, and the device waited for.
            squared_error = ((predictions - target) * (target != 0)).square().sum()
            sums += torch.stack(
                [batch_loss.double(), squared_error.double(), target.count_nonzero().double()]
            )
        cells += batch[-1].numel()
    if cells == 0:
        raise ValueError("train_iter gives no batch")
    if size > 1:
        dist.all_reduce(sums)
    total_loss, squared_error, ratings = sums.tolist()  # waits for the device
    seconds = time.perf_counter() - start
    return {
        "loss": total_loss,
        "train_rmse": math.sqrt(squared_error / ratings) if ratings else math.nan,
        "seconds": seconds,
        "ratings_per_s": ratings / seconds,
        "cells_per_s": cells / seconds,
    }


def _evaluate(net, test_iter, devices, evaluator, inter_mat) -> float:
    """Call the evaluator with or without a test matrix, as d2l does."""
    if inter_mat is None:
        return (evaluator or evaluation.evaluator_mf)(net, test_iter, devices)
    return (evaluator or evaluation.evaluator)(net, test_iter, inter_mat, devices)
