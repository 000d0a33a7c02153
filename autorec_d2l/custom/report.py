"""What a model is worth: its RMSE beside those of the mean and of user and item biases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from autorec_d2l import experiments
from autorec_d2l.evaluation import mae, rmse
from autorec_d2l.sparse import RatingMatrix
from autorec_d2l.sparse.pattern import repeat_rows

Baseline = Callable[[np.ndarray, np.ndarray], np.ndarray]


def baselines(matrix: RatingMatrix) -> dict[str, Baseline]:
    """Return what predicts the ``mean`` of some ratings, and what predicts by ``biases``.

    Both take users and items, places from 0, each ``(num_pairs,)``. Of a place that has no rating,
    such as -1, biases know nothing.
    """
    known = {
        "user_id": repeat_rows(matrix.crow, len(matrix.col)).numpy(),
        "item_id": matrix.col.numpy(),
        "rating": matrix.values.numpy().astype("float64"),
    }
    known = pd.DataFrame(known, copy=False)

    def ask(fit: Callable[..., experiments.Fit]) -> Baseline:
        predict = fit(known, None, matrix.shape).predict
        return lambda users, items: predict(
            pd.DataFrame({"user_id": users, "item_id": items})
        ).numpy()

    return {"mean": ask(experiments.fit_mean), "biases": ask(experiments.fit_biases)}


def judge(ratings: np.ndarray, model: np.ndarray, **others: np.ndarray) -> dict[str, float]:
    """Return the RMSE of predictions ``(num_ratings,)``, and whether the model's are worth it.

    Keys are ``num_ratings``, ``model``, the names of ``others``, ``mae`` of the model, and
    ``is_worth``: whether it is better than the best of these by more than two standard errors of
    the difference of squares.
    """
    stars = {"model": model} | others
    found = {name: rmse(guess, ratings) for name, guess in stars.items()}
    best = others[min(others, key=found.__getitem__)]
    gain = (best - ratings) ** 2 - (model - ratings) ** 2
    is_worth = len(gain) > 1 and gain.mean() > 2 * gain.std(ddof=1) / len(gain) ** 0.5
    found |= {"num_ratings": len(ratings), "is_worth": bool(is_worth)}
    return found | {"mae": mae(model, ratings)}


def verdict(compared: dict[str, float]) -> str:
    """Say in words what :func:`judge` found."""
    lines = [f"RMSE on {compared['num_ratings']:,} ratings that it has not seen, in their units:"]
    names = {"mean": "the mean rating", "biases": "user and item biases", "model": "the model"}
    lines += [f"  {words:22}{compared[name]:.4g}" for name, words in names.items()]
    if compared["is_worth"]:
        best = min("mean", "biases", key=compared.__getitem__)
        gain = 1 - compared["model"] / compared[best]
        lines.append(f"The model is better than {names[best]} by {gain:.1%}.")
    else:
        lines.append(
            "The model is not worth anything on these ratings:\n"
            "it is not better than the two, or by so little that it may be luck."
        )
    return "\n".join(lines)
