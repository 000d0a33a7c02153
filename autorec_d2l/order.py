"""The order in which a loader gives its batches: told, kept and restored between two epochs."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler

from autorec_d2l.batches import CutTogether, RolloverBatchSampler


def order_of(train_iter: Any) -> dict | list[dict]:
    """Return the state that the order of the next epochs depends on, between two epochs.

    It is known for a list, for what :func:`load_array` returns, and for a ``DataLoader`` that
    shuffles or not. Another loader says it by ``state_dict()`` and takes it by
    ``load_state_dict(state)``, as those of ``torchdata`` do. Raises ``TypeError`` for the rest.
    """
    if hasattr(train_iter, "state_dict"):
        return train_iter.state_dict()
    return [
        {"generator": random and random.get_state(), "left_over": getattr(part, "left_over", None)}
        for part, random in _parts(train_iter)
    ]


def restore_order(train_iter: Any, order: dict | list[dict]) -> None:
    """Put a loader where :func:`order_of` found it."""
    if hasattr(train_iter, "state_dict"):
        return train_iter.load_state_dict(order)
    for (part, random), state in zip(_parts(train_iter), order, strict=True):
        if random:
            random.set_state(state["generator"])
        if state["left_over"] is not None:
            part.left_over = state["left_over"]


def describe_order(train_iter: Any) -> str:
    """Say how a loader makes its batches, in words that stay while it is used."""
    if hasattr(train_iter, "state_dict"):
        return type(train_iter).__name__
    words = []
    for part, random in _parts(train_iter):
        size = len(part) if isinstance(part, list) else getattr(part, "batch_size", None)
        options = {
            "size": size,
            "drop_last": getattr(part, "drop_last", None),
            "seed": random and random.initial_seed(),
        }
        given = [f"{name} {value}" for name, value in options.items() if value is not None]
        words.append(f"{type(part).__name__} ({', '.join(given)})")
    return ", ".join(words)


def _parts(train_iter) -> list[tuple[Any, torch.Generator | None]]:
    """Return a loader and what orders its rows, from the outside in, each with its generator."""
    known = DataLoader, CutTogether, BatchSampler, RandomSampler, RolloverBatchSampler
    known += SequentialSampler, list, tuple, range  # what has no state of another kind
    parts, part = [], train_iter
    while part is not None:
        if type(part) not in known or getattr(part, "persistent_workers", False):
            raise TypeError(
                f"a checkpoint cannot hold the state of train_iter, a {type(part).__name__}: use "
                "load_array, or give it state_dict() and load_state_dict(state)"
            )
        parts.append((part, getattr(part, "generator", None)))
        sampler = getattr(part, "batch_sampler", None)
        part = getattr(part, "sampler", None) if sampler is None else sampler
    return parts
