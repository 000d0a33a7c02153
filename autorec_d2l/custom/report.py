"""How good a model is: its RMSE beside those of the global mean and of user and item biases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from autorec_d2l import experiments
from autorec_d2l.evaluation import rmse
from autorec_d2l.sparse import RatingMatrix
from autorec_d2l.sparse.pattern import repeat_rows

Baseline = Callable[[np.ndarray, np.ndarray], np.ndarray]
LABELS = {
    "mean": "global mean",
    "biases": "user and item biases",
    "user": "AutoRec, user-based",
    "item": "AutoRec, item-based",
    "model": "model",
}


def fit_baselines(matrix: RatingMatrix) -> dict[str, Baseline]:
    """Return the predictors of the global ``mean`` of some ratings, and of their ``biases``.

    Both take indices of users and items from 0, each ``(num_pairs,)``; the biases of an index
    without ratings, such as -1, are 0.
    """
    columns = {
        "user_id": repeat_rows(matrix.crow, len(matrix.col)).numpy(),
        "item_id": matrix.col.numpy(),
        "rating": matrix.values.numpy().astype("float64"),
    }
    data = pd.DataFrame(columns, copy=False)

    def predictor(fit: Callable[..., experiments.Fit]) -> Baseline:
        predict = fit(data, None, matrix.shape).predict
        return lambda users, items: predict(
            pd.DataFrame({"user_id": users, "item_id": items})
        ).numpy()

    return {"mean": predictor(experiments.fit_mean), "biases": predictor(experiments.fit_biases)}


def compare_to_baselines(
    ratings: np.ndarray, model: np.ndarray, **baselines: np.ndarray
) -> dict[str, float]:
    """Return the RMSE of predictions ``(num_ratings,)``, and whether the model's are better.

    Keys are ``num_ratings``, ``model``, the names of ``baselines``, and ``beats_baselines``:
    whether it is better than the best of them by more than two standard errors of the mean
    difference of squared errors.
    """
    predictions = {"model": model} | baselines
    report = {name: rmse(values, ratings) for name, values in predictions.items()}
    best = baselines[min(baselines, key=report.__getitem__)]
    gain = (best - ratings) ** 2 - (model - ratings) ** 2
    is_better = len(gain) > 1 and gain.mean() > 2 * gain.std(ddof=1) / len(gain) ** 0.5
    report |= {"num_ratings": len(ratings), "beats_baselines": bool(is_better)}
    return report


def format_report(report: dict[str, Any]) -> str:
    """Return the ``report`` of a model as text."""
    lines = ["RMSE on the validation part, in the units of the ratings, and weights:"]
    for name, error in report["valid"].items():
        epochs = report["epochs"].get(name)
        note = f"   ({epochs} epochs)" if epochs else ""
        weight = report["weights"].get(name, 0.0)
        lines.append(f"  {LABELS[name]:22}{error:<10.4g}{weight:.2f}{note}")
    return "\n".join([*lines, *([format_comparison(report["test"])] if "test" in report else [])])


def format_comparison(result: dict[str, float]) -> str:
    """Return the result of :func:`compare_to_baselines` as text."""
    lines = [f"RMSE on {result['num_ratings']:,} test ratings:"]
    lines += [f"  {LABELS[name]:22}{result[name]:.4g}" for name in ("mean", "biases", "model")]
    if "low" in result:
        lines[-1] += f"   (95 % interval over users: {result['low']:.4g} to {result['high']:.4g})"
    if result["beats_baselines"]:
        best = min("mean", "biases", key=result.__getitem__)
        gain = 1 - result["model"] / result[best]
        lines.append(f"The model is better than the {LABELS[best]} by {gain:.1%}.")
    else:
        lines.append("The model is not better than the baselines beyond chance.")
    return "\n".join(lines)
