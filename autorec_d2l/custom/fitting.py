"""From ratings to a model: the epochs are chosen on a validation part, then all ratings are used.

The network is user-based AutoRec with column means (:class:`autorec_d2l.sparse.SparseAutoRec`), so
that a new user needs no training.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
import torch

from autorec_d2l import experiments
from autorec_d2l.custom.model import Model
from autorec_d2l.custom.ratings import Ratings
from autorec_d2l.custom.report import format_report
from autorec_d2l.data.loaders import load_array
from autorec_d2l.data.rating_scale import ANY_STARS
from autorec_d2l.data.splits import split_data_ml100k
from autorec_d2l.sparse import HalfSumOfSquares, RatingMatrix, evaluator_sparse
from autorec_d2l.training import Checkpoint, EarlyStopping, ProgressBar, train_recsys_rating
from autorec_d2l.training.callbacks import Run
from autorec_d2l.training.distributed import threads_for, try_gpu

MIN_BATCHES = 15  # in an epoch, where there are 32 users for each


def fit(
    ratings: Ratings,
    *,
    num_epochs: int = 200,
    patience: int = 5,
    valid_ratio: float = 0.1,
    seed: int = 0,
    checkpoint: str | os.PathLike | None = None,
    device: torch.device | None = None,
    verbose: bool = True,
    num_hidden: int = 100,
    dropout: float = 0.1,
    input_dropout: float = 0.5,
    lr: float = 0.002,
    wd: float = 2e-4,
) -> Model:
    """Fit AutoRec to ratings of any scale, and compare it to baselines on held-out ratings.

    The same ratings give the same model, whatever the order of the rows. Torch's global random
    state is left as it was.

    Args:
        ratings: Of :func:`read_ratings`.
        num_epochs: The most epochs; without a validation part exactly so many.
        patience: Training stops after so many epochs without a lower validation RMSE.
        valid_ratio: The share of the ratings on which the epochs are chosen, below 1. With 0
            nothing is held out, chosen or compared.
        seed: Of the split, the weights, the batches and dropout.
        checkpoint: A file name; ``NAME.1`` and ``NAME.2`` let the same call continue after an
            interruption.
        device: The first GPU or the CPU if not given.
        verbose: Whether to show progress, with RMSE in stars from 1 to 5, and print the comparison.
        num_hidden: The number of hidden units.
        dropout: Of the hidden units.
        input_dropout: Of the ratings in the input.
        lr: The learning rate of Adam.
        wd: Weight decay, beside half the mean of squares over the ratings of a batch.

    Returns:
        A :class:`Model`, refitted to all ratings; its ``report`` has the RMSE on the validation
        part, in the units of the ratings, beside those of the baselines.

    Raises:
        ValueError: Too few ratings to hold some out.

    Example:
        ``model = fit(read_ratings("ratings.csv"))``
    """
    settings = {  # numpy's numbers, too, become Python's own, which a file can hold
        "num_hidden": int(num_hidden),
        "dropout": float(dropout),
        "input_dropout": float(input_dropout),
        "lr": float(lr),
        "wd": float(wd),
        "seed": int(seed),
        "valid_ratio": float(valid_ratio),
    }
    data, device = _sorted(ratings.data), device or try_gpu()
    how = {"settings": settings, "device": device, "verbose": verbose}
    report: dict[str, Any] = {"num_ratings": len(data)}
    files = [checkpoint and f"{checkpoint}.{i}" for i in (1, 2)]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if valid_ratio:
            parts = split_data_ml100k(data, *ratings.sizes, "random", valid_ratio, seed)
            model, history = _train(ratings, *parts, num_epochs, patience, files[0], **how)
            num_epochs = int(history["test_rmse"].idxmin())
            report["valid"] = model.compare(*_indices(parts[1]), parts[1]["rating"].to_numpy())
            if verbose:
                print(format_report(report["valid"]))
            del model, parts  # gigabytes, of millions of ratings
        model, _ = _train(ratings, data, None, num_epochs, None, files[1], **how)
    model.report |= report
    return model


def _sorted(data: pd.DataFrame) -> pd.DataFrame:
    """Return ratings by user and item, so that a seed names the same split in any order."""
    users, items = _indices(data)
    order = (users.astype("int64") * (items.max() + 1) + items).argsort()
    return data[["user_id", "item_id", "rating"]].iloc[order]


def _train(ratings, data, held_out, num_epochs, patience, checkpoint, settings, device, verbose):
    """Return the model of a part of the ratings, and the history of its training."""
    matrix, rows, unseen = _matrix(ratings, data), None, None
    callbacks: list[Any] = [_ProgressBar()] if verbose else []
    if held_out is not None:
        rows, unseen = load_array((matrix,), 1024, is_train=False), _matrix(ratings, held_out)
        callbacks.append(EarlyStopping(patience))
    if checkpoint:
        callbacks.append(Checkpoint(checkpoint))
    torch.manual_seed(settings["seed"])
    network = {name: settings[name] for name in ("num_hidden", "dropout", "input_dropout")}
    net = experiments.make_autorec(matrix, subtract_means=True, **network)
    batch_size = min(len(matrix), max(32, min(1024, len(matrix) // MIN_BATCHES)))
    with threads_for(len(data)):
        history = train_recsys_rating(
            net,
            load_array((matrix,), batch_size, seed=settings["seed"], last_batch="rollover"),
            rows,
            HalfSumOfSquares(max(1, round(batch_size * len(data) / len(matrix)))),
            torch.optim.Adam(
                net.parameters(), settings["lr"], weight_decay=settings["wd"], fused=True
            ),
            num_epochs,
            [device],
            evaluator_sparse,
            unseen,
            callbacks,
        )
    settings = settings | {"num_epochs": len(history)}
    ids = ratings.users, ratings.items
    return Model(net.cpu(), matrix, *ids, ratings.scale, settings, report={}), history


class _ProgressBar(ProgressBar):
    """A progress bar, with RMSE in stars from 1 to 5; Ctrl-C ends :func:`fit`."""

    def on_start(self, run: Run) -> None:
        super().on_start(run)
        run.returns_on_interrupt = False


def _indices(data: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return users and items of a table, from 0."""
    return data["user_id"].to_numpy() - 1, data["item_id"].to_numpy() - 1


def _matrix(ratings: Ratings, data: pd.DataFrame) -> RatingMatrix:
    """Return ratings as the network takes them, in stars, ``(num_users, num_items)``."""
    stars = ratings.scale.to_stars(data["rating"].to_numpy()).astype("float32")
    return RatingMatrix(*_indices(data), stars, ratings.sizes, ANY_STARS)
