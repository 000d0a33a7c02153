"""The protocol of a comparison: tuned on a validation part, tested once.

A model is a function that fits it, such as `fit_autorec`, and its settings. On each split every
model gets the same number of *trials* (learning rate, initialisation, ...). A trial is trained on
nine tenths of the training part and evaluated on the last tenth. The best trial is trained again
on the whole training part, and only then are the test ratings read, once.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch

from autorec_d2l.data.rating_scale import RatingScale
from autorec_d2l.data.splits import Parts
from autorec_d2l.experiments import Fit, score
from autorec_d2l.experiments.results import as_json

FitFunction = Callable[..., Fit]  # such as fit_autorec
Settings = Mapping[str, Any]


class Choice(NamedTuple):
    """The result of tuning."""

    trial: Settings
    num_epochs: int
    valid_rmse: float  # of the chosen trial in stars, unclipped; NaN if there was nothing to choose
    tried: pd.DataFrame  # a row per trial: settings (JSON), epochs, valid_rmse (NaN: diverged)


def tune(
    fit: FitFunction,
    trials: Sequence[Settings],
    parts: Parts,
    num_epochs: int = 0,
    seed: int = 0,
    **settings: Any,
) -> Choice:
    """Return the trial with the lowest RMSE on the validation part, and its number of epochs.

    A trial with its own `num_epochs` is evaluated after the last of them. Any other trains for
    `num_epochs`, is evaluated after each, and counts with its best epoch. A trial that diverges
    is left out. Without trials, and with a single one whose number of epochs is fixed, there is
    nothing to choose, and nothing is trained.

    Raises `FloatingPointError` if every trial diverges.
    """
    columns = ["settings", "epochs", "valid_rmse"]
    if not trials or (len(trials) == 1 and ("num_epochs" in trials[0] or num_epochs == 0)):
        trial, nothing = trials[0] if trials else {}, pd.DataFrame(columns=columns)
        return Choice(trial, int(trial.get("num_epochs", num_epochs)), math.nan, nothing)
    results = [_try(fit, trial, parts, num_epochs, seed, settings) for trial in trials]
    rows = [(as_json(trial), *result) for trial, result in zip(trials, results, strict=True)]
    tried = pd.DataFrame(rows, columns=columns)
    if tried["valid_rmse"].isna().all():
        raise FloatingPointError(f"every trial diverges: lower the learning rates\n{tried}")
    best = int(tried["valid_rmse"].idxmin())
    return Choice(trials[best], *results[best], tried)


def _try(fit, trial, parts, num_epochs, seed, settings) -> tuple[int, float]:
    """Return a trial's epochs and its validation RMSE (NaN if it diverges)."""
    is_open = "num_epochs" not in trial and num_epochs > 0
    trial = dict(trial)
    epochs = int(trial.pop("num_epochs", num_epochs))
    held_out = parts.valid_data if is_open else None  # other fits see no validation rating
    try:
        model = fit(parts.fit_data, held_out, parts.sizes, epochs, seed, **settings, **trial)
        if is_open and len(model.history):  # it was evaluated after each epoch
            curve = model.history["test_rmse"]
            return int(curve.idxmin()), float(curve.min())
        return epochs, score(model.predict(parts.valid_data), parts.valid_data)["rmse"]
    except FloatingPointError:
        return epochs, math.nan


def refit(
    fit: FitFunction,
    choice: Choice,
    table: pd.DataFrame,
    sizes: tuple[int, int],
    seed: int = 0,
    **settings: Any,
) -> Fit:
    """Fit the choice of `tune` to a table, without any rating held out."""
    trial = {name: value for name, value in choice.trial.items() if name != "num_epochs"}
    return fit(table, None, sizes, choice.num_epochs, seed, **settings, **trial)


class Outcome(NamedTuple):
    """The result of the protocol for one model on one split."""

    choice: Choice
    model: Fit  # fitted to the whole training part
    test_rmse: float  # stars
    test_mae: float
    cpu_seconds: float  # of the last training, all cores together
    test_stars: torch.Tensor  # predictions for the test part, (num_tests,)
    valid_stars: torch.Tensor | None  # for the validation part, of the model fitted without it


def tune_and_test(
    fit: FitFunction,
    trials: Sequence[Settings],
    parts: Parts,
    num_epochs: int = 0,
    seed: int = 0,
    *,
    clip: RatingScale | None = None,
    with_valid: bool = False,
    **settings: Any,
) -> Outcome:
    """Choose a trial by `tune`, fit it to the whole training part, and test it once.

    Args:
        fit: For example `fit_autorec`.
        trials: Settings to choose from; each may have its own `num_epochs`.
        parts: From `split_parts`.
        num_epochs: The limit for trials without their own.
        seed: Of every training.
        clip: A scale that limits the final predictions; the choice is made without.
        with_valid: Whether to train once more without the validation part, and predict it.
        settings: What all trials share.

    Raises:
        FloatingPointError: Every trial diverges.

    Example:
        `tune_and_test(fit_mf, [{"wd": 1e-5}, {"wd": 1e-4}], split_parts(ratings), 30).test_rmse`
    """
    choice = tune(fit, trials, parts, num_epochs, int(seed), **settings)
    valid_stars = None
    if with_valid:
        model = refit(fit, choice, parts.fit_data, parts.sizes, int(seed), **settings)
        valid_stars = model.predict(parts.valid_data)
    start = time.process_time()
    model = refit(fit, choice, parts.train_data, parts.sizes, int(seed), **settings)
    cpu_seconds = time.process_time() - start
    test_stars = model.predict(parts.test_data)
    of_test = score(test_stars, parts.test_data, clip)
    if clip:
        test_stars = clip.clip(test_stars)
        valid_stars = valid_stars if valid_stars is None else clip.clip(valid_stars)
    rmse, mae = of_test["rmse"], of_test["mae"]
    return Outcome(choice, model, rmse, mae, cpu_seconds, test_stars, valid_stars)
