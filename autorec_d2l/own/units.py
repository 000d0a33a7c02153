"""The reader's ratings and the models' stars: the one place that turns one into the other.

The models see 1 to 5 stars, whatever the reader's scale is, so that a rating of 0 or below is a
rating for them and not a gap. RMSE, predictions and recommendations are in the reader's units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autorec_d2l.scale import STARS, Scale

INSIDE = Scale(STARS.low, STARS.high, step=0)


def scale_of(ends: Sequence[float] | Scale) -> Scale:
    """Return a scale that holds every number between two ends ``(low, high)``.

    Raises ``ValueError`` for anything else, and for ends in the wrong order.
    """
    try:
        ends = (ends.low, ends.high) if isinstance(ends, Scale) else ends
        low, high = map(float, ends)
    except (TypeError, ValueError) as error:
        raise ValueError(f"scale must be (low, high), as scale=(0.5, 5), got {ends!r}") from error
    return Scale(low, high, step=0)


def inward(ratings: Any, scale: Scale) -> Any:
    """Map ratings on ``scale``, an array or a tensor, to 1 ... 5 stars."""
    room = INSIDE.high - INSIDE.low
    return INSIDE.low + (ratings - scale.low) * room / (scale.high - scale.low)


def outward(stars: Any, scale: Scale) -> Any:
    """Map stars, an array or a tensor, back to ``scale``."""
    return scale.low + (stars - INSIDE.low) * unit(scale)


def unit(scale: Scale) -> float:
    """Return what one star inside is worth on ``scale``: an RMSE is multiplied by it."""
    return (scale.high - scale.low) / (INSIDE.high - INSIDE.low)
