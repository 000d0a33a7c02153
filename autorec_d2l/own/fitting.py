"""From ratings to a model: the epochs are chosen on a validation part, then all ratings are used.

The network is user-based AutoRec with column means (:class:`autorec_d2l.sparse.SparseAutoRec`), so
that somebody new needs no training.
"""

from __future__ import annotations

import math
import os

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from autorec_d2l import study
from autorec_d2l.batches import load_array
from autorec_d2l.checks import whole_number
from autorec_d2l.devices import threads_for, try_gpu
from autorec_d2l.own.model import Model
from autorec_d2l.own.ratings import Ratings
from autorec_d2l.own.units import INSIDE, inward, unit
from autorec_d2l.own.worth import verdict
from autorec_d2l.sparse import HalfSumOfSquares, RatingMatrix, evaluator_sparse
from autorec_d2l.splits import split_data_ml100k
from autorec_d2l.training import train_recsys_rating

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
        checkpoint: A file name; what lies in ``NAME.valid`` and ``NAME.all`` lets the same call go
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
    num_epochs, patience = (
        whole_number(num_epochs, "num_epochs"),
        whole_number(patience, "patience"),
    )
    if unknown := set(settings) - set(SETTINGS):
        raise ValueError(f"settings are {', '.join(SETTINGS)}, got {', '.join(sorted(unknown))}")
    settings = SETTINGS | settings | {"seed": seed, "valid_ratio": valid_ratio}
    how = {"settings": settings, "device": device or try_gpu(), "verbose": verbose}
    report = {"num_ratings": len(ratings.data)}
    if valid_ratio:
        if len(ratings.data) < LEAST:
            raise ValueError(
                f"{len(ratings.data)} ratings are too few to hold a part of them out, it takes "
                f"{LEAST}; with valid_ratio=0 and a num_epochs they can be fitted without"
            )
        train_data, held_out = split_data_ml100k(
            ratings.data, *ratings.sizes, "random", valid_ratio, seed
        )
        file = checkpoint and f"{checkpoint}.valid"
        model, history = _train(ratings, train_data, held_out, num_epochs, patience, file, **how)
        num_epochs = int(history["test_rmse"].idxmin())
        report |= {"valid": model.compare(*_places(held_out), held_out["rating"].to_numpy())}
        if verbose:
            print(verdict(report["valid"]))
        del model, train_data, held_out
    file = checkpoint and f"{checkpoint}.all"
    model, _ = _train(ratings, ratings.data, None, num_epochs, None, file, **how)
    model.settings["num_epochs"] = num_epochs
    model.report |= report
    return model


def _train(ratings, data, held_out, num_epochs, patience, checkpoint, settings, device, verbose):
    """Return the model of a part of the ratings, and the history of its training."""
    matrix = _matrix(ratings, data)
    num_users = len(matrix)
    torch.manual_seed(settings["seed"])
    network = {name: settings[name] for name in ("num_hidden", "dropout", "input_dropout")}
    net = study.make_autorec(matrix, subtract_means=True, **network)
    batch_size = min(num_users, max(32, min(1024, num_users // STEPS)))
    trainer = torch.optim.Adam(
        net.parameters(), settings["lr"], weight_decay=settings["wd"], fused=True
    )
    rows, unseen = (), None
    if held_out is not None:
        rows = load_array((matrix,), 1024, is_train=False)
        unseen = _matrix(ratings, held_out)
    silent = {} if verbose else {"disable": True}
    part = "on all ratings" if held_out is None else "to choose epochs"
    with (
        threads_for(len(data)),
        tqdm(total=num_epochs, unit="epoch", desc=f"fit {part}", **silent) as progress,
    ):

        def evaluate(net, rows, *others) -> float:
            rmse = evaluator_sparse(net, rows, *others) if rows else math.nan
            rmse *= unit(ratings.scale)
            if rows:
                progress.set_postfix(valid_rmse=f"{rmse:.4g}")
            progress.update()
            return rmse

        history = train_recsys_rating(
            net,
            load_array((matrix,), batch_size, seed=settings["seed"], last_batch="rollover"),
            rows,
            HalfSumOfSquares(max(1, round(batch_size * len(data) / num_users))),
            trainer,
            num_epochs,
            [device],
            evaluate,
            unseen,
            scale=None,  # the matrix has checked them
            verbose=False,
            patience=patience,
            checkpoint=checkpoint,
        )
    ids = {"users": ratings.users, "items": ratings.items}
    return Model(net, matrix, **ids, scale=ratings.scale, settings=settings, report={}), history


def _places(data: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return users and items of a table, from 0."""
    return data["user_id"].to_numpy() - 1, data["item_id"].to_numpy() - 1


def _matrix(ratings: Ratings, data: pd.DataFrame) -> RatingMatrix:
    """Return ratings as the models see them, ``(num_users, num_items)``."""
    stars = inward(data["rating"].to_numpy(), ratings.scale).astype("float32")
    return RatingMatrix(*_places(data), stars, ratings.sizes, INSIDE)
