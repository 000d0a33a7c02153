"""How a comparison is made in this book: tuned on a validation part, tested once.

A model is a function that fits it, such as :func:`fit_autorec`, and settings to call it with. On
each split every model gets the same number of *trials* (learning rate, initialisation, ...). A
trial trains on nine tenths of the training part and is judged on the last tenth. The best trial is
trained again on the whole training part, and only then are the test ratings read, once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch

from autorec_d2l.data.rating_scale import RatingScale
from autorec_d2l.data.splits import split_data_ml100k
from autorec_d2l.experiments.autorec import Fit, score
from autorec_d2l.experiments.results import Settings, as_json, plain


class Parts(NamedTuple):
    """The parts of one split: for training and testing, and the former once more in two."""

    train_data: pd.DataFrame
    test_data: pd.DataFrame
    fit_data: pd.DataFrame  # nine tenths of train_data, for trials
    valid_data: pd.DataFrame  # the last tenth, which judges them
    sizes: tuple[int, int]  # num_users, num_items


def split_parts(
    ratings: tuple[pd.DataFrame, int, int], mode: str = "random", split: int = 0
) -> Parts:
    """Cut the ratings of :func:`read_data_ml100k` for one split of the protocol.

    ``mode`` is one of :func:`split_data_ml100k`; ``split`` is its seed, and ``1000 + split`` that
    of the validation part.
    """
    data, num_users, num_items = ratings
    sizes = int(num_users), int(num_items)
    train_data, test_data = split_data_ml100k(data, *sizes, mode, 0.1, seed=int(split))
    halves = split_data_ml100k(train_data, *sizes, "random", 0.1, seed=1000 + int(split))
    return Parts(train_data, test_data, *halves, sizes)


class Choice(NamedTuple):
    """What tuning chose."""

    trial: Settings
    num_epochs: int
    valid_rmse: float  # of the chosen trial in stars, unclipped; NaN if there was nothing to choose
    tried: pd.DataFrame  # a row a trial: settings (as JSON), epochs, valid_rmse (NaN: it diverged)
    valid_stars: torch.Tensor | None = None  # of the chosen trial, where it was judged at its end


def tune(
    fit: Callable[..., Fit],
    trials: Sequence[Settings],
    parts: Parts,
    num_epochs: int = 0,
    seed: int = 0,
    **settings: Any,
) -> Choice:
    """Return the trial with the lowest RMSE on the validation part, and its number of epochs.

    A trial that names ``num_epochs`` is judged after the last of them. Any other trains for
    ``num_epochs``, is judged after each, and is worth its best epoch. A trial whose loss becomes
    infinite is left out. Without trials, and with a single one that leaves no epochs open, there is
    nothing to choose, and nothing is trained.

    Raises ``FloatingPointError`` if the loss of every trial becomes infinite.
    """
    trials = [plain(trial) for trial in trials]
    if not trials or (len(trials) == 1 and ("num_epochs" in trials[0] or num_epochs == 0)):
        trial = trials[0] if trials else {}
        nothing = pd.DataFrame(columns=["settings", "epochs", "valid_rmse"])
        return Choice(trial, trial.get("num_epochs", int(num_epochs)), math.nan, nothing)
    rows, stars = [], []
    for trial in trials:
        epochs, rmse, of_trial = _judge(fit, trial, parts, num_epochs, seed, settings)
        rows.append({"settings": as_json(trial), "epochs": epochs, "valid_rmse": rmse})
        stars.append(of_trial)
    tried = pd.DataFrame(rows)
    if tried["valid_rmse"].isna().all():
        raise FloatingPointError(
            f"the loss of every trial becomes infinite: lower the learning rates\n{tried}"
        )
    best = int(tried["valid_rmse"].idxmin())
    epochs, rmse = tried.loc[best, ["epochs", "valid_rmse"]]
    return Choice(trials[best], int(epochs), float(rmse), tried, stars[best])


def _judge(fit, trial, parts, num_epochs, seed, settings) -> tuple[int, float, Any]:
    """Return a trial's epochs, its validation RMSE (NaN if it diverges), and its predictions."""
    trial = dict(trial)
    is_open = "num_epochs" not in trial and num_epochs > 0
    epochs = trial.pop("num_epochs", int(num_epochs))
    held_out = parts.valid_data if is_open else None  # other fits see no validation rating
    try:
        model = fit(parts.fit_data, held_out, parts.sizes, epochs, seed, **settings, **trial)
    except FloatingPointError:
        return epochs, math.nan, None
    if is_open and len(model.history):  # it was trained, and judged after each epoch
        curve = model.history["test_rmse"]
        return int(curve.idxmin()), float(curve.min()), None
    stars = model.predict(parts.valid_data)
    return epochs, score(stars, parts.valid_data)["rmse"], stars


def refit(
    fit: Callable[..., Fit],
    choice: Choice,
    table: pd.DataFrame,
    sizes: tuple[int, int],
    seed: int = 0,
    **settings: Any,
) -> Fit:
    """Fit what :func:`tune` chose to a table, without any rating held out."""
    trial = {name: value for name, value in choice.trial.items() if name != "num_epochs"}
    return fit(table, None, sizes, choice.num_epochs, seed, **settings, **trial)


class Outcome(NamedTuple):
    """What the protocol says about a model on a split."""

    choice: Choice
    model: Fit  # fitted to the whole training part
    test_rmse: float  # stars
    test_mae: float
    cpu_seconds: float  # of the last training, all cores together
    test_stars: torch.Tensor  # predictions for the test part, (num_tests,)
    valid_stars: torch.Tensor | None  # for the validation part, of the model fitted without it


def tune_and_test(
    fit: Callable[..., Fit],
    trials: Sequence[Settings],
    parts: Parts,
    num_epochs: int = 0,
    seed: int = 0,
    *,
    clip: RatingScale | None = None,
    with_valid: bool = False,
    **settings: Any,
) -> Outcome:
    """Choose a trial by :func:`tune`, fit it to the whole training part, read the test once.

    Args:
        fit: For example :func:`fit_autorec`.
        trials: Settings to choose from; each may name ``num_epochs``.
        parts: Of :func:`split_parts`.
        num_epochs: The limit for trials that name none.
        seed: Of every training.
        clip: A scale to whose ends predictions are moved; the choice is made without.
        with_valid: Whether to train once more without the validation part, and predict it.
        settings: What all trials share.

    Raises:
        FloatingPointError: The loss of every trial becomes infinite.

    Example:
        ``tune_and_test(fit_mf, [{"wd": 1e-5}, {"wd": 1e-4}], split_parts(ratings), 30).test_rmse``
    """
    settings, seed = plain(settings), int(seed)
    choice = tune(fit, trials, parts, num_epochs, seed, **settings)
    valid_stars = choice.valid_stars
    if with_valid and valid_stars is None:
        model = refit(fit, choice, parts.fit_data, parts.sizes, seed, **settings)
        valid_stars = model.predict(parts.valid_data)
    start = time.process_time()
    model = refit(fit, choice, parts.train_data, parts.sizes, seed, **settings)
    cpu_seconds = time.process_time() - start
    test_stars = _clip(model.predict(parts.test_data), clip)
    of_test = score(test_stars, parts.test_data)
    if valid_stars is not None:
        valid_stars = _clip(valid_stars, clip)
    rmse, mae = of_test["rmse"], of_test["mae"]
    return Outcome(choice, model, rmse, mae, cpu_seconds, test_stars, valid_stars)


def _clip(stars: torch.Tensor, clip: RatingScale | None) -> torch.Tensor:
    return stars if clip is None else clip.clip(stars)
