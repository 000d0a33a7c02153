"""How far predictions are from held-out ratings: one sum, one root, in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from autorec_d2l.batches import as_tensors
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
    pairs: Iterable[tuple[torch.Tensor, torch.Tensor]], scale: Scale | None = STARS
) -> float:
    """Return the root mean squared error over the rated cells, in stars.

    ``pairs`` are ``(predictions, ratings)`` of equal shape, tensors or arrays, 0 = not rated.
    The squares are summed over all pairs in float64, and the root is taken once. With
    ``scale=None`` every cell is a rating, whatever its value.

    Raises ``ValueError`` for shapes that differ, a rating off the ``scale``, and if no cell at
    all is rated.

    Example: ``masked_rmse([(torch.tensor([4.0, 2.5]), torch.tensor([5.0, 0.0]))])`` is 1.0.
    """
    squared_error, count = 0.0, 0
    for errors in _errors(pairs, scale):
        squared_error += float((errors**2).sum())
        count += len(errors)
    if count == 0:
        raise ValueError("the test set is empty: no cell of it is rated")
    return (squared_error / count) ** 0.5


def masked_mae(
    pairs: Iterable[tuple[torch.Tensor, torch.Tensor]], scale: Scale | None = STARS
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
    for predictions, ratings in pairs:
        predictions, ratings = torch.as_tensor(predictions), torch.as_tensor(ratings)
        if predictions.shape != ratings.shape:
            raise ValueError(
                f"predictions {tuple(predictions.shape)} and ratings {tuple(ratings.shape)} "
                "differ in shape; a test matrix needs the rows and columns of its training matrix"
            )
        if scale is not None:
            rated = ratings != 0
            predictions, ratings = predictions[rated], ratings[rated]
            scale.check(ratings, "ratings to compare with")
        yield (predictions.double() - ratings.double()).flatten()


def evaluator(
    net: nn.Module,
    test_iter: Iterable[torch.Tensor],
    inter_mat: torch.Tensor,
    devices: list[torch.device],
) -> float:
    """Return AutoRec's RMSE on the held-out ratings, in stars.

    ``test_iter`` gives batches of *training* rows ``(batch, num_users)`` in order: they are the
    network's input. ``inter_mat`` is the matrix of held-out ratings ``(num_items, num_users)``,
    0 = not rated, whose rows are aligned with them. (d2l calls the three arguments ``network``,
    ``inter_matrix`` and ``test_data``.)

    Raises ``ValueError`` as :func:`masked_rmse` does, and for a ``test_iter`` without batches.
    """
    with evaluating(net):
        batches = [net(ratings).cpu() for ratings in input_rows(test_iter, devices[0])]
    predictions = torch.cat(batches)  # (num_items, num_users)
    return masked_rmse([(predictions, inter_mat)])


def input_rows(test_iter: Iterable, device: torch.device) -> Iterator[torch.Tensor]:
    """Give each batch of rows on ``device``, a tensor or the only tensor of a list.

    Raises ``ValueError`` for batches of several tensors, and where there is no batch.
    """
    batch = None
    for batch in test_iter:
        tensors = as_tensors(batch)
        if len(tensors) != 1:
            raise ValueError(
                f"each batch must be one tensor, rows of the rating matrix; got {len(tensors)}"
            )
        yield tensors[0].to(device)
    if batch is None:
        raise ValueError("test_iter gives no batch: it has to start anew each time it is used")


def evaluator_mf(
    net: nn.Module,
    test_iter: Iterable[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    devices: list[torch.device],
) -> float:
    """Return MF's RMSE, in stars, over batches ``(users, items, scores)``, each ``(batch,)``."""
    with evaluating(net):
        return masked_rmse(
            (net(users.to(devices[0]), items.to(devices[0])).cpu(), scores)
            for users, items, scores in test_iter
        )
