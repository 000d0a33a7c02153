"""Blend the predictions of several models; the weights are fitted on a validation part."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from scipy.optimize import nnls

_STRICT = 1e4  # how much more than a rating the sum of the weights counts


def fit_weights(
    members: Mapping[str, torch.Tensor], table: pd.DataFrame, penalty: float = 10.0
) -> pd.Series:
    """Return a weight for each member, none negative, that add up to 1.

    ``members`` maps a name to predictions for the rows of ``table``, ``(num_rows,)`` stars. The
    weights have the lowest squared error, plus ``penalty`` times their squared distance from
    equal weights: the fewer ratings speak, the more equal they are.

    Raises ``ValueError`` for no member, members of unequal length and numbers that are not finite.
    """
    stars = _stack(members).numpy().astype("float64")  # (num_members, num_rows)
    ratings = table["rating"].to_numpy("float64")
    if stars.shape[1] != len(ratings):
        raise ValueError(f"{stars.shape[1]} predictions a member, but {len(ratings)} ratings")
    if not np.isfinite(ratings).all():
        raise ValueError("ratings must be finite")
    size = len(stars)
    left = [stars.T, penalty**0.5 * np.eye(size), _STRICT * np.ones((1, size))]
    right = [ratings, np.full(size, penalty**0.5 / size), [_STRICT]]
    weights, _ = nnls(np.concatenate(left), np.concatenate(right))
    return pd.Series(weights / weights.sum(), index=list(members))


def mix(members: Mapping[str, torch.Tensor], weights: Mapping[str, float]) -> torch.Tensor:
    """Return the weighted mean of the members' predictions, ``(num_rows,)`` stars.

    Raises ``ValueError`` as :func:`fit_weights` does, and where the names differ.
    """
    if set(members) != set(weights.keys()):
        raise ValueError(f"members {list(members)} but weights {list(weights.keys())}")
    shares = torch.tensor([float(weights[name]) for name in members])
    return shares @ _stack(members)


def _stack(members: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the members as one tensor, ``(num_members, num_rows)``."""
    lengths = {name: len(stars) for name, stars in members.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"members must be there, and of one length, got {lengths}")
    for name, stars in members.items():
        if not torch.as_tensor(stars).isfinite().all():
            raise ValueError(f"{name!r} predicts something that is not finite")
    return torch.stack([torch.as_tensor(stars).float() for stars in members.values()])
