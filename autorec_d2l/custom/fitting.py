"""From ratings to a model: epochs and weights are chosen on a validation part, then all is used.

The model is an ensemble of user and item biases, user-based AutoRec and item-based AutoRec: each
is good where another one is weak, and a weight of 0 leaves out what does not help.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from autorec_d2l import experiments
from autorec_d2l.custom.model import CASES, NETWORKS, Model, indices, make_network, orient
from autorec_d2l.custom.ratings import Ratings
from autorec_d2l.custom.report import compare_to_baselines, format_report
from autorec_d2l.data.loaders import load_array
from autorec_d2l.data.rating_scale import ANY_STARS
from autorec_d2l.data.splits import split_data_ml100k
from autorec_d2l.data.validation import check_integer
from autorec_d2l.evaluation import rmse
from autorec_d2l.sparse import HalfSumOfSquares, RatingMatrix, evaluator_sparse
from autorec_d2l.training import Checkpoint, EarlyStopping, ProgressBar, train_recsys_rating
from autorec_d2l.training.callbacks import Run
from autorec_d2l.training.distributed import threads_for, try_gpu

MEMBERS = ("biases", *NETWORKS)
NUM_EPOCHS = 30
VALID_RATIO = 0.1  # of what the test part leaves
MIN_BATCHES = 8  # in an epoch, where there are 32 rows for each
LR, WD = 0.004, 2e-4  # the highest rate; decay beside half the mean of squares over the ratings
LEAST_WEIGHT = 0.01  # a member with less is left out


def fit(
    ratings: Ratings,
    *,
    members: Sequence[str] = MEMBERS,
    num_epochs: int = NUM_EPOCHS,
    test_ratio: float = 0.1,
    by_time: bool = False,
    seed: int = 0,
    checkpoint: str | os.PathLike | None = None,
    verbose: bool = True,
) -> Model:
    """Fit an ensemble to ratings of any scale, and test it on held-out ratings.

    The same ratings give the same model, whatever the order of the rows. Torch's global random
    state is left as it was.

    Args:
        ratings: Of :func:`read_ratings`.
        members: Some of ``biases``, ``user`` (user-based AutoRec) and ``item`` (item-based).
        num_epochs: The epochs of a network, over which its learning rate rises and falls. It is
            taken from the epoch with the lowest validation RMSE.
        test_ratio: The share of the ratings for the test, which choose nothing; 0 for no test. A
            tenth of what it leaves is the validation part, which chooses epochs and weights.
        by_time: Whether the latest ratings are held out, instead of random ones.
        seed: Of the splits, the weights, the batches and dropout.
        checkpoint: A file name; files that begin with it let the same call continue after an
            interruption.
        verbose: Whether to show progress, with RMSE in stars from 1 to 5, and print the report.

    Returns:
        A :class:`Model`, refitted to all ratings. Its ``report`` has the epochs, the validation
        RMSE and the weights of the members, and the RMSE on the test part beside those of the
        baselines, all in the units of the ratings.

    Raises:
        ValueError: Unknown members, too few ratings to hold some out, and ``by_time`` without
            times.

    Example:
        ``model = fit(read_ratings("ratings.csv"))``
    """
    if not members or not set(members) <= set(MEMBERS):
        raise ValueError(f"members must be some of {', '.join(MEMBERS)}, got {members!r}")
    columns = ["user_id", "item_id", "rating"]
    if by_time:
        columns.append("timestamp")
        if "timestamp" not in ratings.data or ratings.data["timestamp"].isna().any():
            raise ValueError("by_time needs a time for every rating")
    data, device = _sorted(ratings.data[columns]), try_gpu()
    train, test = _hold_out(data, ratings.sizes, test_ratio, seed, by_time)
    train, valid = _hold_out(train, ratings.sizes, VALID_RATIO, 1000 + seed, by_time)
    num_epochs = check_integer(num_epochs, "num_epochs")
    epochs = {name: num_epochs for name in NETWORKS if name in members}
    run = {"num_epochs": num_epochs, "seed": seed, "device": device}
    run |= {"verbose": verbose, "checkpoint": checkpoint}
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        matrix, held_out = _matrix(ratings, train), _matrix(ratings, valid)
        del data, train  # gigabytes, of millions of ratings
        model, epochs = _fit_networks(ratings, matrix, epochs, held_out, **run)
        _choose_weights(model, valid, members)
        model.report |= {"num_ratings": len(ratings.data), "seed": seed, "epochs": epochs}
        if len(test):
            model.report["test"] = model.compare(*indices(test), test["rating"].to_numpy())
        if verbose:
            print(format_report(model.report))
        weights, report = model.weights, model.report
        used = {name for of_case in weights.values() for name in of_case}
        epochs = {name: number for name, number in epochs.items() if name in used}
        del model, matrix, held_out, valid, test  # gigabytes too
        model, _ = _fit_networks(ratings, _matrix(ratings, ratings.data), epochs, None, **run)
    return replace(model, weights=weights, report=report)


def cross_validate(ratings: Ratings, k: int = 5, seed: int = 0, **options: Any) -> pd.DataFrame:
    """Fit on k - 1 of ``k`` random parts of the ratings and test on the last, for each part.

    ``options`` are those of :func:`fit`. Returns a row per part: RMSE of ``model``, ``mean`` and
    ``biases`` in the units of the ratings, and the other results of :meth:`Model.compare`.
    """
    k, data, rows = check_integer(k, "k", 2), _sorted(ratings.data), []
    part = np.random.RandomState(seed).permutation(len(data)) % k
    for i in range(k):
        train, test = replace(ratings, data=data[part != i]), data[part == i]
        model = fit(train, seed=seed, **options | {"test_ratio": 0})
        rows.append(model.compare(*indices(test), test["rating"].to_numpy()))
    return pd.DataFrame(rows)


def _sorted(data: pd.DataFrame) -> pd.DataFrame:
    """Return ratings by user and item, so that a seed names the same split in any order."""
    users, items = indices(data)
    return data.iloc[(users.astype("int64") * (items.max() + 1) + items).argsort()]


def _hold_out(
    data: pd.DataFrame, sizes: tuple[int, int], ratio: float, seed: int, by_time: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the ratings to fit and those to hold out, random or the latest; none for ratio 0."""
    if ratio == 0:
        return data, data[:0].copy()  # a view would keep all rows alive
    if not by_time:
        return split_data_ml100k(data, *sizes, "random", ratio, seed)
    is_late = data["timestamp"].rank(method="first") > (1 - ratio) * len(data)
    return data[~is_late], data[is_late]


def _fit_networks(ratings, matrix, epochs, held_out, num_epochs, seed, device, verbose, checkpoint):
    """Return a model of a matrix with the networks that ``epochs`` names, and their epochs."""
    networks, chosen = {}, {}
    for name, stop in epochs.items():
        rows, unseen = orient(matrix, name), None
        callbacks: list[Any] = [_ProgressBar(name)] if verbose else []
        if held_out is not None:
            unseen = orient(held_out, name)
            callbacks.append(EarlyStopping(num_epochs))  # restores the best weights
        stage = checkpoint and f"{checkpoint}.{name}.{'all' if held_out is None else 'valid'}"
        torch.manual_seed(seed)
        networks[name] = net = make_network(name, rows)
        with threads_for(len(matrix.values)):
            history = _train(net, rows, unseen, stop, num_epochs, seed, device, callbacks, stage)
        chosen[name] = stop if held_out is None else int(history["test_rmse"].idxmin())
        net.cpu()
    ids = ratings.users, ratings.items
    return Model(networks, matrix, *ids, ratings.scale, weights={}, report={}), chosen


def _train(net, rows, unseen, stop, num_epochs, seed, device, callbacks, checkpoint):
    """Train a network on the rows of a matrix up to the epoch ``stop``; return its history."""
    batch_size = min(len(rows), max(32, min(1024, len(rows) // MIN_BATCHES)))
    trainer = torch.optim.Adam(net.parameters(), weight_decay=WD, fused=True)
    num_steps = max(num_epochs * len(rows) // batch_size, 2)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(trainer, LR, num_steps)
    trainer.register_step_post_hook(lambda *_: scheduler.step())
    if checkpoint:
        callbacks.append(Checkpoint(checkpoint, scheduler=scheduler))
    history = train_recsys_rating(
        net,
        load_array((rows,), batch_size, seed=seed, last_batch="rollover"),
        None if unseen is None else load_array((rows,), 1024, is_train=False),
        HalfSumOfSquares(max(1, round(batch_size * len(rows.values) / len(rows)))),
        trainer,
        stop,
        [device],
        evaluator_sparse,
        unseen,
        callbacks,
    )
    trainer.zero_grad()
    trainer.state.clear()  # hook and scheduler would keep these gigabytes alive
    return history


def _choose_weights(model: Model, valid: pd.DataFrame, members: Sequence[str]) -> None:
    """Give a model weights for each of :data:`CASES`, chosen on a validation part."""
    ratings = model.scale.to_stars(valid["rating"].to_numpy())
    names = [name for name in CASES["known"] if name in ("mean", *members)]
    stars = model.members(names, *indices(valid))
    for case, able in CASES.items():
        model.weights[case] = weights_for({n: stars[n] for n in able if n in stars}, ratings)
    units = model.scale.units_per_star
    model.report["weights"] = model.weights["known"]
    model.report["valid"] = {name: rmse(of, ratings) * units for name, of in stars.items()}


def weights_for(stars: Mapping[str, torch.Tensor], ratings: np.ndarray) -> dict[str, float]:
    """Return the weights of members, by their predictions ``(num_ratings,)`` for ratings, in stars.

    Weights are at least 0 and sum to 1. The mean is a member, so that the others can count less;
    networks get a weight only if they gain more than chance would give.
    """
    table = pd.DataFrame({"rating": ratings})
    weights = experiments.fit_weights(stars, table)
    kept = {name: stars[name] for name in weights.index[weights >= LEAST_WEIGHT]}
    weights = experiments.fit_weights(kept, table)
    plain = {name: of for name, of in stars.items() if name not in NETWORKS}
    plain_weights = experiments.fit_weights(plain, table)
    both = [experiments.mix(kept, weights), experiments.mix(plain, plain_weights)]
    if not compare_to_baselines(ratings, both[0].numpy(), plain=both[1].numpy())["beats_baselines"]:
        weights = plain_weights
    return {name: float(weight) for name, weight in weights.items()}


class _ProgressBar(ProgressBar):
    """A progress bar, with RMSE in stars from 1 to 5; Ctrl-C ends :func:`fit`."""

    def __init__(self, name: str):
        self.name = name

    def on_start(self, run: Run) -> None:
        super().on_start(run)
        self.bar.set_description(f"{self.name}-based")
        run.returns_on_interrupt = False


def _matrix(ratings: Ratings, data: pd.DataFrame) -> RatingMatrix:
    """Return ratings as the networks take them, in stars, ``(num_users, num_items)``."""
    stars = ratings.scale.to_stars(data["rating"].to_numpy()).astype("float32")
    return RatingMatrix(*indices(data), stars, ratings.sizes, ANY_STARS)
