"""The scale of the ratings, said once: 1 to 5 whole stars unless something else is named."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch


class Scale(NamedTuple):
    """The ratings that people can give: ``low`` to ``high`` in steps of ``step``.

    A ``step`` of 0 allows every number between the ends. MovieLens of 1998 is ``Scale(1, 5)``,
    its newer releases are ``Scale(0.5, 5, 0.5)``.
    """

    low: float
    high: float
    step: float = 1.0

    def is_on(self, ratings: np.ndarray | torch.Tensor) -> np.ndarray | torch.Tensor:
        """Say of each rating whether it lies on the scale; NaN does not."""
        inside = (ratings >= self.low) & (ratings <= self.high)
        if not self.step:
            return inside
        steps = (ratings - self.low) / self.step
        return inside & (abs(steps - steps.round()) < 1e-4)

    def check(self, ratings: np.ndarray | torch.Tensor, where: str) -> None:
        """Raise ``ValueError`` for the first rating off the scale; ``where`` begins the message."""
        is_on = self.is_on(ratings)
        if not is_on.all():
            raise ValueError(
                f"{where} must be {self}, got {float(ratings[~is_on][0]):g}; "
                "for other ratings name their scale, such as scale=Scale(0.5, 5, 0.5)"
            )

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
