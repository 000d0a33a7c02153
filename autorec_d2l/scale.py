"""The scale of the ratings, said once: 1 to 5 whole stars unless something else is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Scale:
    """The ratings that people can give: ``low`` to ``high`` in steps of ``step``.

    A ``step`` of 0 allows every number between the ends. MovieLens of 1998 is ``Scale(1, 5)``,
    its newer releases are ``Scale(0.5, 5, 0.5)``. Raises ``ValueError`` for a scale without room.
    """

    low: float
    high: float
    step: float = 1.0

    def __post_init__(self) -> None:
        """Refuse ends in the wrong order, and NaN."""
        if not (self.low < self.high and self.step >= 0):
            raise ValueError(f"a scale needs low < high and step >= 0, got {self!r}")

    def is_on(self, ratings: torch.Tensor) -> torch.Tensor:
        """Say of each rating whether it lies on the scale; NaN does not."""
        inside = (ratings >= self.low) & (ratings <= self.high)
        if not self.step:
            return inside
        steps = (ratings - self.low) / self.step
        return inside & (abs(steps - steps.round()) < 1e-4)

    def check(
        self,
        ratings: torch.Tensor,
        name: str,
        place: Callable[[int], str] = "index {}".format,
    ) -> None:
        """Raise ``ValueError`` for the first of ``ratings``, ``(num_ratings,)``, off the scale.

        ``name`` says what they are, and ``place`` where the one of an index stands.
        """
        if ratings.dtype == torch.bool:
            raise ValueError(f"{name} must be {self}, got a mask (bool)")
        is_on = self.is_on(ratings)
        if is_on.all():
            return
        i = int((~is_on).nonzero()[0])
        rating = float(ratings[i])
        way_out = "for ratings of another kind name their scale, such as scale=Scale(0.5, 5, 0.5)"
        if rating != rating:
            way_out = "leave rows without a rating out, as data.dropna() does"
        raise ValueError(f"{name} must be {self}, got {rating:g} at {place(i)}; {way_out}")

    def check_dense(self) -> None:
        """Raise ``ValueError`` for a scale that a dense matrix, 0 = not rated, cannot hold."""
        if self.low <= 0:
            raise ValueError(
                "in a dense matrix 0 means 'not rated', so all ratings have to be above 0; for "
                f"{self} use autorec_d2l.sparse, or add a number to every rating"
            )

    def check_matrix(self, matrix: torch.Tensor, name: str) -> None:
        """Raise ``ValueError`` for the first rating of a matrix, 0 = not rated, off the scale."""
        self.check_dense()
        rated = matrix != 0
        self.check(matrix[rated], name, lambda i: f"index {rated.nonzero()[i].tolist()}")

    def __str__(self) -> str:
        """Return the scale in words."""
        ends = f"{self.low:g} to {self.high:g}"
        if self.step == 1:
            return f"whole numbers from {ends}"
        return f"{ends} in steps of {self.step:g}" if self.step else f"numbers from {ends}"

    def clip(self, stars: torch.Tensor) -> torch.Tensor:
        """Move predictions beyond an end of the scale to that end."""
        return stars.clamp(self.low, self.high)

    def bounded(self, scores: torch.Tensor) -> torch.Tensor:
        """Map any number to one between ``low`` and ``high``; 0 becomes the middle."""
        return self.low + (self.high - self.low) * torch.sigmoid(scores)

    def unbounded(self, stars: float) -> float:
        """Return the number that :meth:`bounded` maps to ``stars``."""
        return float(torch.tensor((stars - self.low) / (self.high - self.low)).logit())


STARS = Scale(1.0, 5.0)
