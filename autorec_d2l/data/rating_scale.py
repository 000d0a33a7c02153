"""The scale of the ratings: 1 to 5 whole stars unless another one is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class RatingScale:
    """The ratings that people can give: ``low`` to ``high`` in steps of ``step``.

    A ``step`` of 0 allows every number between the ends. MovieLens of 1998 is
    ``RatingScale(1, 5)``, its newer releases are ``RatingScale(0.5, 5, 0.5)``. Raises
    ``ValueError`` unless ``low < high`` and ``step >= 0``.
    """

    low: float
    high: float
    step: float = 1.0

    def __post_init__(self) -> None:
        """Refuse ends in the wrong order, and NaN."""
        if not (self.low < self.high and self.step >= 0):
            raise ValueError(f"a scale needs low < high and step >= 0, got {self!r}")

    def __str__(self) -> str:
        """Describe the scale."""
        ends = f"{self.low:g} to {self.high:g}"
        if self.step == 1:
            return f"whole numbers from {ends}"
        return f"{ends} in steps of {self.step:g}" if self.step else f"numbers from {ends}"

    def contains(self, ratings: torch.Tensor) -> torch.Tensor:
        """Return for each rating whether it lies on the scale; NaN does not."""
        inside = (ratings >= self.low) & (ratings <= self.high)
        if not self.step:
            return inside
        steps = (ratings - self.low) / self.step
        return inside & (abs(steps - steps.round()) < 1e-4)

    def check(
        self, ratings: torch.Tensor, name: str, describe: Callable[[int], str] = "index {}".format
    ) -> None:
        """Raise ``ValueError`` for the first of ``ratings``, ``(num_ratings,)``, off the scale.

        ``name`` is what the message calls them; ``describe(i)`` says where rating ``i`` stands.
        """
        if ratings.dtype == torch.bool:
            raise ValueError(f"{name} must be {self}, got a mask (bool)")
        is_valid = self.contains(ratings)
        if is_valid.all():
            return
        i = int((~is_valid).nonzero()[0])
        rating = float(ratings[i])
        hint = "for another scale pass for example scale=RatingScale(0.5, 5, 0.5)"
        if rating != rating:
            hint = "drop rows without a rating, for example with data.dropna()"
        raise ValueError(f"{name} must be {self}, got {rating:g} at {describe(i)}; {hint}")

    def check_dense(self) -> None:
        """Raise ``ValueError`` for a scale that a dense matrix, 0 = not rated, cannot hold."""
        if self.low <= 0:
            raise ValueError(
                "in a dense matrix 0 means 'not rated', so all ratings must be above 0; for "
                f"{self} use autorec_d2l.sparse, or add a constant to every rating"
            )

    def clip(self, stars: torch.Tensor) -> torch.Tensor:
        """Clip predictions to the ends of the scale."""
        return stars.clamp(self.low, self.high)

    def bounded(self, scores: torch.Tensor) -> torch.Tensor:
        """Map any number to one between ``low`` and ``high``; 0 becomes the middle."""
        return self.low + (self.high - self.low) * torch.sigmoid(scores)

    def unbounded(self, stars: float) -> float:
        """Return the number that :meth:`bounded` maps to ``stars``."""
        return float(torch.tensor((stars - self.low) / (self.high - self.low)).logit())

    def to_stars(self, ratings: Any) -> Any:
        """Map ratings on this scale, an array or a tensor, to 1 ... 5 stars."""
        return STARS.low + (ratings - self.low) * (STARS.high - STARS.low) / (self.high - self.low)

    def from_stars(self, stars: Any) -> Any:
        """Map 1 ... 5 stars, an array or a tensor, to this scale."""
        return self.low + (stars - STARS.low) * self.units_per_star

    @property
    def units_per_star(self) -> float:
        """The width of a star on this scale: multiply an RMSE in stars by it."""
        return (self.high - self.low) / (STARS.high - STARS.low)


STARS = RatingScale(1.0, 5.0)
ANY_STARS = RatingScale(STARS.low, STARS.high, step=0)
