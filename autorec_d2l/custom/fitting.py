"""From ratings to a model: the epochs are chosen on a validation part, then all ratings are used.

The network is user-based AutoRec with column means (:class:`autorec_d2l.sparse.SparseAutoRec`), so
that somebody new needs no training.
"""

from __future__ import annotations

import math
import os
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from autorec_d2l import experiments
from autorec_d2l.custom.model import Model
from autorec_d2l.custom.ratings import Ratings
from autorec_d2l.custom.report import verdict
from autorec_d2l.data.loaders import load_array
from autorec_d2l.data.rating_scale import ANY_STARS
from autorec_d2l.data.splits import split_data_ml100k
from autorec_d2l.data.validation import check_integer
from autorec_d2l.experiments.results import plain
from autorec_d2l.sparse import HalfSumOfSquares, RatingMatrix, evaluator_sparse
from autorec_d2l.training import Checkpoint, EarlyStopping, train_recsys_rating
from autorec_d2l.training.distributed import threads_for, try_gpu

LEAST = 10  # ratings that can be split
STEPS = 15  # batches in an epoch, at least, where there are 32 users for each
SETTINGS = {
    "num_hidden": 100,
    "dropout": 0.1,
    "input_dropout": 0.5,
    "lr": 0.002,
    "wd": 2e-4,  # beside half the mean of squares over the ratings of a batch
}


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
    **settings: float,
) -> Model:
    """Fit AutoRec to ratings of any scale, and say what it is worth on them.

    Args:
        ratings: Of :func:`read_ratings`.
        num_epochs: The most epochs; without a validation part exactly so many.
        patience: Training ends when the validation RMSE has not fallen for so many epochs.
        valid_ratio: The share of the ratings on which the epochs are chosen, below 1. With 0
            nothing is held out and nothing is chosen or judged.
        seed: Of the split, the weights, the batches and dropout.
        checkpoint: A file name; what lies in ``NAME.1`` and ``NAME.2`` lets the same call go
            on after it was stopped.
        device: The first GPU or the CPU unless named.
        verbose: Whether to show progress and print the judgement.
        settings: In place of those in :data:`SETTINGS`.

    Returns:
        A :class:`Model`, refitted to all ratings; its ``report`` has the RMSE on the validation
        part, in the reader's units, beside those of the mean and of user and item biases.

    Raises:
        ValueError: Fewer ratings than can be split, and settings of other names.

    Example:
        ``model = fit(read_ratings("ratings.csv"))``
    """
    if unknown := set(settings) - set(SETTINGS):
        raise ValueError(f"settings are {', '.join(SETTINGS)}, got {', '.join(sorted(unknown))}")
    num_epochs, data = check_integer(num_epochs, "num_epochs"), ratings.data
    settings = plain(SETTINGS | settings | {"seed": seed, "valid_ratio": valid_ratio})
    how = {"settings": settings, "device": device or try_gpu(), "verbose": verbose}
    report: dict[str, Any] = {"num_ratings": len(data)}
    files = [checkpoint and f"{checkpoint}.{i}" for i in (1, 2)]
    if valid_ratio:
        if len(data) < LEAST:
            raise ValueError(
                f"{len(data)} ratings are too few to hold a part of them out, it takes {LEAST}; "
                "with valid_ratio=0 and a num_epochs they can be fitted without"
            )
        parts = split_data_ml100k(data, *ratings.sizes, "random", valid_ratio, seed)
        model, history = _train(ratings, *parts, num_epochs, patience, files[0], **how)
        num_epochs = int(history["test_rmse"].idxmin())
        report["valid"] = model.compare(*_places(parts[1]), parts[1]["rating"].to_numpy())
        if verbose:
            print(verdict(report["valid"]))
        del model, parts  # gigabytes, of millions of ratings
    model, _ = _train(ratings, data, None, num_epochs, None, files[1], **how)
    model.report |= report
    return model


def _train(ratings, data, held_out, num_epochs, patience, checkpoint, settings, device, verbose):
    """Return the model of a part of the ratings, and the history of its training."""
    matrix, rows, unseen = _matrix(ratings, data), (), None
    if held_out is not None:
        rows = load_array((matrix,), 1024, is_train=False)
        unseen = _matrix(ratings, held_out)
    torch.manual_seed(settings["seed"])
    network = {name: settings[name] for name in ("num_hidden", "dropout", "input_dropout")}
    net = experiments.make_autorec(matrix, subtract_means=True, **network)
    batch_size = min(len(matrix), max(32, min(1024, len(matrix) // STEPS)))
    silent = {} if verbose else {"disable": True}
    callbacks: list[Any] = [EarlyStopping(patience)] if patience else []
    callbacks += [Checkpoint(checkpoint)] if checkpoint else []
    with (
        threads_for(len(data)),
        tqdm(total=num_epochs, unit="epoch", **silent) as progress,
    ):
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
            partial(_evaluate, progress, ratings.scale.units_per_star),
            unseen,
            callbacks,
        )
    ids = {"users": ratings.users, "items": ratings.items, "scale": ratings.scale}
    settings = settings | {"num_epochs": len(history)}
    return Model(net.cpu(), matrix, **ids, settings=settings, report={}), history


def _evaluate(progress, unit, net, rows, *unseen_and_devices) -> float:
    """Return the RMSE on held-out ratings in the reader's units, and move the progress bar."""
    rmse = math.nan
    if unseen_and_devices[1:]:
        rmse = unit * evaluator_sparse(net, rows, *unseen_and_devices)
        progress.set_postfix(valid_rmse=f"{rmse:.4g}")
    progress.update()
    return rmse


def _places(data: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return users and items of a table, from 0."""
    return data["user_id"].to_numpy() - 1, data["item_id"].to_numpy() - 1


def _matrix(ratings: Ratings, data: pd.DataFrame) -> RatingMatrix:
    """Return ratings as the models see them, ``(num_users, num_items)``."""
    stars = ratings.scale.to_stars(data["rating"].to_numpy()).astype("float32")
    return RatingMatrix(*_places(data), stars, ratings.sizes, ANY_STARS)
