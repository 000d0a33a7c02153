"""How far predictions are from held-out ratings: one sum, one root, in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


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


def masked_rmse(pairs: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Return the root mean squared error over the rated cells, in stars.

    ``pairs`` are ``(predictions, ratings)`` of equal shape, 0 = not rated. The squares are summed
    over all pairs in float64, and the root is taken once.

    Raises ``ValueError`` for shapes that differ and if no cell at all is rated.
    """
    squared_error, count = 0.0, 0
    for predictions, ratings in pairs:
        if predictions.shape != ratings.shape:
            raise ValueError(
                f"predictions {tuple(predictions.shape)} and ratings {tuple(ratings.shape)} "
                "differ in shape; a test matrix needs the rows and columns of its training matrix"
            )
        rated = ratings != 0
        errors = (predictions[rated] - ratings[rated]).double()
        squared_error += float((errors**2).sum())
        count += int(rated.sum())
    if count == 0:
        raise ValueError("the test set is empty: no cell of it is rated")
    return (squared_error / count) ** 0.5


def masked_mae(pairs: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Return the mean absolute error over the rated cells, in stars.

    ``pairs`` are as for :func:`masked_rmse`, and so are the errors that it raises.
    """
    pairs = list(pairs)
    masked_rmse(pairs)  # for its checks
    errors = [(predictions - ratings)[ratings != 0].double() for predictions, ratings in pairs]
    return float(torch.cat(errors).abs().mean())


def evaluator(
    network: nn.Module,
    inter_matrix: Iterable[torch.Tensor],
    test_data: torch.Tensor,
    devices: list[torch.device],
) -> float:
    """Return AutoRec's RMSE on ``test_data``, in stars.

    ``inter_matrix`` gives batches of *training* rows ``(batch, num_users)`` in order; they are the
    network's input. ``test_data`` is the matrix of held-out ratings ``(num_items, num_users)``,
    0 = not rated, whose rows are aligned with them.
    """
    with evaluating(network):
        batches = [network(ratings.to(devices[0])).cpu() for ratings in inter_matrix]
    predictions = torch.cat(batches)  # (num_items, num_users)
    return masked_rmse([(predictions, torch.as_tensor(test_data))])


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
