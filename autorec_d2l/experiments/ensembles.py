"""Blend the predictions of several models; the weights are fitted on a validation part."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from scipy.optimize import nnls

_SUM_WEIGHT = 1e4  # of the equation that the weights sum to 1, beside 1 for a rating


def fit_weights(
    members: Mapping[str, torch.Tensor], table: pd.DataFrame, penalty: float = 10.0
) -> pd.Series:
    """Return a non-negative weight for each member; the weights sum to 1.

    ``members`` maps a name to predictions for the rows of ``table``, ``(num_rows,)`` stars. The
    weights minimise the squared error plus ``penalty`` times their squared distance from equal
    weights: with fewer ratings they are more equal.

    Raises ``ValueError`` for another number of ratings and values that are not finite, and
    ``RuntimeError`` for no member and members of unequal length.
    """
    stars = _stack(members).numpy().astype("float64")  # (num_members, num_rows)
    ratings = table["rating"].to_numpy("float64")
    size = len(stars)
    left = [stars.T, penalty**0.5 * np.eye(size), _SUM_WEIGHT * np.ones((1, size))]
    right = [ratings, np.full(size, penalty**0.5 / size), [_SUM_WEIGHT]]
    weights, _ = nnls(np.concatenate(left), np.concatenate(right))
    return pd.Series(weights / weights.sum(), index=list(members))


def mix(members: Mapping[str, torch.Tensor], weights: Mapping[str, float]) -> torch.Tensor:
    """Return the weighted mean of the members' predictions, ``(num_rows,)`` stars.

    Raises ``ValueError`` for names that differ, and ``RuntimeError`` as :func:`fit_weights`.
    """
    if set(members) != set(weights.keys()):
        raise ValueError(f"members {list(members)} but weights {list(weights.keys())}")
    shares = torch.tensor([float(weights[name]) for name in members])
    return shares @ _stack(members)


def _stack(members: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the members as one tensor, ``(num_members, num_rows)``."""
    return torch.stack([torch.as_tensor(stars).float() for stars in members.values()])
