"""Dropout whose random numbers cost a quarter."""

from __future__ import annotations

import torch
from torch import nn


class QuickDropout(nn.Dropout):
    """:class:`torch.nn.Dropout` that draws 16 random bits a number, where torch draws 64.

    ``p`` is rounded to a multiple of ``2**-16``, and what is kept is scaled up by exactly that, so
    that the mean stays. The draws are others than those of :class:`torch.nn.Dropout`: with one
    seed, two networks that differ in this alone drop different units.
    """

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Drop numbers of a tensor of any shape in training."""
        kept = round((1 - self.p) * 2**16)
        if not self.training or not 0 < kept < 2**16:
            return super().forward(hidden)
        draws = torch.empty(-(-hidden.numel() // 4), dtype=torch.int64, device=hidden.device)
        bits = draws.random_(-(2**63), None).view(torch.int16)  # all 64 bits, four numbers each
        mask = bits[: hidden.numel()].view(hidden.shape) < kept - 2**15
        return hidden * mask.to(hidden.dtype).mul_(2**16 / kept)
