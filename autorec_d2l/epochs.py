"""What is asked after each epoch: how good the network is, and which epoch was best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import nn

from autorec_d2l.batches import Matrix
from autorec_d2l.evaluation import evaluator, evaluator_mf
from autorec_d2l.scale import Scale


def evaluation_of(
    net: nn.Module,
    test_iter: Iterable | None,
    inter_mat: Matrix | None,
    devices: list[torch.device],
    how: Callable[..., float] | None,
    scale: Scale | None,
) -> Callable[[], float]:
    """Return a call of the evaluator ``how``, as in d2l; ours get the ``scale`` too.

    Without a ``test_iter`` it gives NaN.
    """
    if test_iter is None:
        return lambda: math.nan
    arguments = [net, test_iter, *([] if inter_mat is None else [inter_mat]), devices]
    default: Callable = evaluator_mf if inter_mat is None else evaluator
    if how in (None, evaluator, evaluator_mf):
        return partial(how or default, *arguments, scale=scale)
    return partial(how, *arguments)


def best_epoch(history: list[dict[str, float]]) -> int:
    """Return the first epoch, from 1, with the lowest ``test_rmse``; NaN is the highest."""
    errors = [math.inf if math.isnan(row["test_rmse"]) else row["test_rmse"] for row in history]
    return 1 + errors.index(min(errors))
