"""RMSE and mean absolute error over all held-out ratings, in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy.typing as npt
import torch
from torch import nn

from autorec_d2l.data.loaders import as_tensors, batches_for, check_in_order
from autorec_d2l.data.validation import check_shapes


@contextmanager
def evaluating(net: nn.Module) -> Iterator[nn.Module]:
    """Put ``net`` into evaluation mode without gradients, and restore its mode afterwards."""
    was_training = net.training
    net.eval()
    try:
        with torch.no_grad():
            yield net
    finally:
        net.train(was_training)


def rmse(predictions: npt.ArrayLike, ratings: npt.ArrayLike) -> float:
    """Return the root mean squared error over all entries, computed in float64.

    ``predictions`` and ``ratings`` are tensors or arrays of equal shape.

    Raises:
        FloatingPointError: An entry is NaN or infinite.
        ValueError: Shapes that differ, and no entry at all.

    Example:
        ``rmse(torch.tensor([4.0, 2.5]), torch.tensor([5.0, 2.5]))`` is 0.7071.
    """
    errors = _errors(*as_tensors((predictions, ratings)))
    return (float((errors**2).sum()) / len(errors)) ** 0.5


def mae(predictions: npt.ArrayLike, ratings: npt.ArrayLike) -> float:
    """Return the mean absolute error over all entries; arguments and errors as :func:`rmse`."""
    return float(_errors(*as_tensors((predictions, ratings))).abs().mean())


def masked_rmse(predictions: npt.ArrayLike, ratings: npt.ArrayLike) -> float:
    """Return the root mean squared error over the rated cells of a matrix, in stars.

    ``predictions`` and ``ratings`` have equal shape; in ``ratings`` 0 means "not rated".

    Raises:
        FloatingPointError: The prediction for a rated cell is NaN or infinite.
        ValueError: Shapes that differ, a mask (bool) in place of ratings, a negative rating, and no
            rated cell.

    Example:
        ``masked_rmse(torch.tensor([4.0, 2.5]), torch.tensor([5.0, 0.0]))`` is 1.0.
    """
    predictions, ratings = as_tensors((predictions, ratings))
    check_shapes(predictions, ratings)
    if ratings.dtype == torch.bool or bool((ratings < 0).any()):
        raise ValueError(
            "in a matrix of ratings 0 means 'not rated', so ratings must be above 0, got a mask "
            "(bool) or negative ratings"
        )
    is_rated = ratings != 0
    return rmse(predictions.to(ratings.device)[is_rated], ratings[is_rated])


def _errors(predictions, ratings) -> torch.Tensor:
    """Return predictions minus ratings, a float64 vector on the CPU, which always has float64."""
    check_shapes(predictions, ratings)
    errors = (predictions.detach().cpu().double() - ratings.cpu().double()).flatten()
    if len(errors) == 0:
        raise ValueError("the test set is empty: it holds no rating")
    if not errors.isfinite().all():
        raise FloatingPointError(
            f"of {errors.numel():,} predictions {(~errors.isfinite()).sum():,} are not finite: "
            "look for NaN in the data, or lower the learning rate"
        )
    return errors


def evaluator(
    network: nn.Module,
    inter_matrix: Iterable[torch.Tensor],
    test_data: npt.ArrayLike,
    devices: list[torch.device] | None = None,
) -> float:
    """Return AutoRec's RMSE on the held-out ratings, in stars.

    Args:
        network: The model.
        inter_matrix: Yields batches of *training* rows, ``(batch, num_users)``, in order: they are
            the network's input.
        test_data: The held-out ratings, ``(num_items, num_users)``, 0 = not rated: a tensor or an
            array, whose rows are aligned with those of ``inter_matrix``.
        devices: The first one holds the network; where the network is if not given.

    Raises:
        FloatingPointError: The prediction for a held-out rating is NaN or infinite.
        ValueError: As :func:`masked_rmse`, batches of several tensors, and an ``inter_matrix`` that
            shuffles or is empty.

    Example:
        ``evaluator(net, load_array((train_inter,), 1024, is_train=False), test_inter)``
    """
    check_in_order(inter_matrix)
    device = devices[0] if devices else None
    with evaluating(network):
        batches = [network(rows) for [rows] in batches_for(network, inter_matrix, device)]
    predictions = torch.cat(batches)  # (num_items, num_users)
    return masked_rmse(predictions, test_data)


def evaluator_mf(
    net: nn.Module,
    test_iter: Iterable[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    devices: list[torch.device] | None = None,
) -> float:
    """Return MF's RMSE, in stars, over batches ``(users, items, scores)``, each ``(batch,)``.

    Users and items are indices from 0. The other arguments and the errors are those of
    :func:`evaluator`.
    """
    device = devices[0] if devices else None
    predictions, ratings = [], []
    with evaluating(net):
        for users, items, scores in batches_for(net, test_iter, device):
            predictions.append(net(users, items))
            ratings.append(scores)
    return rmse(torch.cat(predictions), torch.cat(ratings))
