"""How far predictions are from held-out ratings: one sum, one root, in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy.typing as npt
import torch
from torch import nn

from autorec_d2l.batches import as_numbers, as_tensors, check_in_order
from autorec_d2l.devices import device_list
from autorec_d2l.scale import STARS, Scale


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


def masked_rmse(
    pairs: Iterable[tuple[npt.ArrayLike, npt.ArrayLike]], scale: Scale | None = STARS
) -> float:
    """Return the root mean squared error over the rated cells, in stars.

    The squares are summed over all pairs in float64, and the root is taken once.

    Args:
        pairs: ``(predictions, ratings)`` of equal shape, tensors or arrays, 0 = not rated.
        scale: What ratings can be. ``None`` if every cell counts, whatever its value.

    Raises:
        FloatingPointError: A prediction for a rated cell is NaN or infinite.
        ValueError: Shapes that differ, a rating off the ``scale``, and no rated cell at all.

    Example:
        ``masked_rmse([(torch.tensor([4.0, 2.5]), torch.tensor([5.0, 0.0]))])`` is 1.0.
    """
    squared_error, count = 0.0, 0
    for errors in _errors(pairs, scale):
        squared_error += float((errors**2).sum())
        count += len(errors)
    if count == 0:
        raise ValueError("the test set is empty: no cell of it is rated")
    return (squared_error / count) ** 0.5


def masked_mae(
    pairs: Iterable[tuple[npt.ArrayLike, npt.ArrayLike]], scale: Scale | None = STARS
) -> float:
    """Return the mean absolute error over the rated cells, in stars.

    Arguments and errors are those of :func:`masked_rmse`.
    """
    errors = list(_errors(pairs, scale))
    if not sum(map(len, errors)):
        raise ValueError("the test set is empty: no cell of it is rated")
    return float(torch.cat(errors).abs().mean())


def _errors(pairs, scale) -> Iterator[torch.Tensor]:
    """Give predictions minus ratings at the rated cells, a float64 vector a pair."""
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise TypeError(f"pairs must be (predictions, ratings), got {type(pair).__name__}")
        predictions, ratings = as_tensors(pair)
        if predictions.shape != ratings.shape:
            raise ValueError(
                f"predictions {tuple(predictions.shape)} and ratings {tuple(ratings.shape)} "
                "differ in shape; a test matrix needs the rows and columns of its training matrix"
            )
        if scale is not None:
            scale.check_matrix(ratings, "ratings to compare with")
            rated = ratings != 0
            predictions, ratings = predictions[rated], ratings[rated]
        errors = predictions.to(ratings.device).double() - ratings.double()
        if not errors.isfinite().all():
            raise FloatingPointError(
                f"of {errors.numel():,} predictions {(~errors.isfinite()).sum():,} are not finite: "
                "look for NaN in the data, or lower the learning rate"
            )
        yield errors.flatten()


def evaluator(
    net: nn.Module,
    test_iter: Iterable[torch.Tensor],
    inter_mat: npt.ArrayLike,
    devices: list[torch.device] | None = None,
    scale: Scale | None = STARS,
) -> float:
    """Return AutoRec's RMSE on the held-out ratings, in stars.

    Args:
        net: The network; it has to be on the first of ``devices``.
        test_iter: Gives batches of *training* rows, ``(batch, num_users)``, in order: they are
            the network's input.
        inter_mat: The held-out ratings, ``(num_items, num_users)``, 0 = not rated: a tensor or an
            array, whose rows are aligned with those of ``test_iter``. (d2l calls the three
            arguments ``network``, ``inter_matrix`` and ``test_data``.)
        devices: All GPUs or the CPU unless named.
        scale: What ratings can be, as in :func:`masked_rmse`.

    Raises:
        FloatingPointError: A prediction for a held-out rating is NaN or infinite.
        ValueError: What :func:`masked_rmse` refuses, batches of several tensors, and a
            ``test_iter`` that shuffles or has no batches.

    Example:
        ``evaluator(net, load_array((train_inter,), 1024, is_train=False), test_inter)``
    """
    with evaluating(net):
        batches = [net(ratings).cpu() for ratings in rows_for(net, test_iter, devices)]
    predictions = torch.cat(batches)  # (num_items, num_users)
    return masked_rmse([(predictions, inter_mat)], scale)


def evaluator_mf(
    net: nn.Module,
    test_iter: Iterable[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    devices: list[torch.device] | None = None,
    scale: Scale | None = STARS,
) -> float:
    """Return MF's RMSE, in stars, over batches ``(users, items, scores)``, each ``(batch,)``.

    Users and items are indices from 0. The other arguments and the errors are those of
    :func:`evaluator`.
    """
    with evaluating(net):
        pairs = (
            (net(users, items).cpu(), scores)
            for users, items, scores in triples_for(net, test_iter, devices, scale)
        )
        return masked_rmse(pairs, scale=None)  # every score is a rating


def rows_for(
    net: nn.Module, test_iter: Iterable, devices: list[torch.device] | None
) -> Iterator[torch.Tensor]:
    """Give each batch of rows in the number type of ``net`` and on the first device.

    Raises ``ValueError`` for batches of several tensors, and where there is no batch or no order.
    """
    check_in_order(test_iter)
    for (ratings,) in _batches(net, test_iter, 1, "rows of the matrix of ratings"):
        yield ratings.to(device_list(devices)[0])


def triples_for(
    net: nn.Module, test_iter: Iterable, devices: list[torch.device] | None, scale: Scale | None
) -> Iterator[tuple[torch.Tensor, ...]]:
    """Give each batch of ``(users, items, scores)``, the network's input on the first device.

    Raises ``ValueError`` for other batches, scores off the ``scale``, and where there is no batch.
    """
    device = device_list(devices)[0]
    for users, items, scores in _batches(net, test_iter, 3, "users, items and scores"):
        if scale is not None:
            scale.check(scores, "scores of test_iter")
        yield users.to(device), items.to(device), scores


def _batches(net, test_iter, count, parts) -> Iterator[list[torch.Tensor]]:
    tensors = None
    for tensors in (as_numbers(batch, net) for batch in test_iter):
        if len(tensors) != count:
            raise ValueError(f"a batch of test_iter must be {parts}; got {len(tensors)} tensors")
        yield tensors
    if tensors is None:
        raise ValueError(
            "the test set is empty: test_iter gives no batch, or can be used only once, as a "
            "generator; a list or a DataLoader starts anew"
        )
