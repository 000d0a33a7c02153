"""Confidence intervals and tests of differences, over splits and over users.

Random splits of one table share most of their training ratings, so their differences are not
independent, and Student's t would give intervals that are too narrow. Everything over splits uses
the *corrected resampled t* of Nadeau and Bengio (2003, "Inference for the generalization error"):
the variance of a mean over n splits is that of the differences, times 1/n + n_test/n_train.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats


def paired_interval(
    differences: pd.Series | pd.DataFrame | Sequence[float], test_ratio: float = 0.1
) -> tuple[Any, Any]:
    """Return the mean of differences over splits, and half the width of its 95 % interval.

    ``differences`` is ``(splits,)``, or a table ``(splits, models)``; ``test_ratio`` is the share
    of the ratings that each split tests on (0.2 for five folds). The interval is the corrected
    resampled t (see above).

    Raises ``ValueError`` for fewer than two splits, values that are not finite, and a
    ``test_ratio`` outside 0 to 1.

    Example: ``mean, half_width = paired_interval(rmse["A"] - rmse["B"])``
    """
    table, error = _mean_error(differences, test_ratio)
    half_width = stats.t.ppf(0.975, len(table) - 1) * error
    return table.mean(), half_width


def p_values(differences: pd.DataFrame, test_ratio: float = 0.1) -> pd.Series:
    """Return the two-sided p-value of "the mean difference is 0" for each column, ``(models,)``.

    It is below 0.05 exactly where the interval of :func:`paired_interval` excludes 0. A column
    whose differences are all 0 gets 1.
    """
    differences, error = _mean_error(differences, test_ratio)
    mean = differences.mean()
    t = np.divide(mean, error, out=np.zeros(len(mean)), where=mean.to_numpy() != 0)
    return pd.Series(2 * stats.t.sf(np.abs(t), len(differences) - 1), index=mean.index)


def holm(p: Mapping[str, float] | pd.Series, level: float = 0.05) -> pd.DataFrame:
    """Correct p-values for multiple comparisons (Holm 1979): columns ``p, adjusted, significant``.

    If no difference is real, the chance that any is called significant is at most ``level``.
    Raises ``ValueError`` for no p-value and for one outside 0 to 1.
    """
    p = pd.Series(p, dtype="float64")
    if p.empty or not p.between(0, 1).all():
        raise ValueError(f"p-values must be 0 to 1, got {p.to_dict()}")
    order = p.to_numpy().argsort(kind="stable")
    factors = np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p.to_numpy()[order] * factors).clip(max=1)
    return pd.DataFrame({"p": p, "adjusted": adjusted, "significant": adjusted <= level})


def compare(
    table: pd.DataFrame, default: str, test_ratio: float = 0.1, value: str = "test_rmse"
) -> pd.DataFrame:
    """Compare each model of a table with the ``default`` one, split by split.

    ``table`` has columns ``model``, ``split`` and the ``value`` to compare. Returns one row per
    model, in the order of ``table``: the mean ``value`` and its ``std`` over splits;
    ``difference``, the mean of (model minus default), negative where the model is better; ``low``
    and ``high``, the ends of its 95 % interval; ``p``, two-sided; and ``better_on``, the number of
    splits on which the model is better.

    Raises ``ValueError`` as :func:`paired_interval`, and for a split that a model lacks or has
    twice; ``KeyError`` for an unknown ``default``.
    """
    values = table.pivot(index="split", columns="model", values=value)
    values = values[table["model"].unique()]  # (splits, models)
    difference = values.sub(values[default], axis=0)
    mean, half_width = paired_interval(difference, test_ratio)
    return pd.DataFrame(
        {
            value: values.mean(),
            "std": values.std(),
            "difference": mean,
            "low": mean - half_width,
            "high": mean + half_width,
            "p": p_values(difference, test_ratio),
            "better_on": (difference < 0).sum(),
        }
    )


class Equivalence(NamedTuple):
    """Whether a mean lies within a margin, and its 95 % interval."""

    low: float
    high: float
    p: float  # the larger of the two one-sided p-values
    is_equivalent: bool


def equivalent(
    differences: pd.Series | Sequence[float], margin: float, test_ratio: float = 0.1
) -> Equivalence:
    """Test whether the mean difference from a published figure is within ``margin``, above 0.

    It is if its whole 95 % interval lies between ``-margin`` and ``margin``, which is two one-sided
    tests at 2.5 %. A wide interval is therefore not equivalent, although it contains 0. The margin
    has to cover the uncertainty of the published figure too. Raises as :func:`paired_interval`.
    """
    mean, half_width = paired_interval(pd.Series(differences, dtype="float64"), test_ratio)
    differences, error = _mean_error(differences, test_ratio)
    inside = margin - abs(mean)
    p = stats.t.sf(inside / error, len(differences) - 1) if error else float(inside <= 0)
    return Equivalence(mean - half_width, mean + half_width, float(p), half_width < inside)


class Bootstrap(NamedTuple):
    """A difference of RMSE on one split, and its 95 % interval over users."""

    difference: float
    low: float
    high: float


def bootstrap_users(
    errors: npt.ArrayLike,
    default: npt.ArrayLike,
    users: npt.ArrayLike | None = None,
    num_draws: int = 10_000,
    seed: int = 0,
) -> Bootstrap:
    """Return the RMSE of a model minus that of the ``default`` on one split, with its interval.

    ``errors`` and ``default`` are *squared* errors of the two at the same ratings,
    ``(num_ratings,)``; ``users`` is the user of each rating; without it, each rating has its own.
    Users are drawn with replacement, each with all ratings and for both models at once. The
    interval, 2.5 to 97.5 % of the draws, is about other users of the same kind, not about other
    training runs.

    Raises ``ValueError`` for unequal lengths, fewer than two users, and squared errors below 0.
    """
    errors, default = (np.asarray(part, dtype="float64") for part in (errors, default))
    if not ((errors >= 0).all() and (default >= 0).all()):  # NaN neither
        raise ValueError("squared errors must be at least 0")
    groups = np.unique(np.arange(len(errors)) if users is None else users, return_inverse=True)[1]
    size = groups.max(initial=-1) + 1
    if size < 2:
        raise ValueError(f"a bootstrap over users needs at least two, got {size}")
    sums = np.stack([np.bincount(groups, part, size) for part in (errors, default)], axis=1)
    counts = np.bincount(groups, minlength=size)  # ratings per user
    random, draws = np.random.RandomState(seed), np.empty(num_draws)
    for draw in range(num_draws):
        drawn = random.randint(size, size=size)
        rmse = np.sqrt(sums[drawn].sum(0) / counts[drawn].sum())
        draws[draw] = rmse[0] - rmse[1]
    rmse = np.sqrt(sums.sum(0) / counts.sum())
    return Bootstrap(float(rmse[0] - rmse[1]), *np.percentile(draws, [2.5, 97.5]).tolist())


def _mean_error(differences, test_ratio: float):
    """Return checked differences as a pandas object, and the standard error of their mean."""
    if not isinstance(differences, (pd.Series, pd.DataFrame)):
        differences = pd.Series(differences, dtype="float64")
    if len(differences) < 2:
        raise ValueError(f"an interval needs at least 2 splits, got {len(differences)}")
    if not 0 < test_ratio < 1:
        raise ValueError(f"test_ratio must lie between 0 and 1, got {test_ratio}")
    if not np.isfinite(differences.to_numpy(dtype="float64")).all():
        raise ValueError(f"differences must be finite, got\n{differences}")
    size = len(differences)
    variance_of_mean = 1 / size + test_ratio / (1 - test_ratio)
    return differences, differences.std() * variance_of_mean**0.5
