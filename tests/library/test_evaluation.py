"""RMSE over held-out ratings: by hand, against numpy, and what is refused."""

import math
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, SubsetRandomSampler, WeightedRandomSampler

import autorec_d2l as d2l
from autorec_d2l.evaluation import mae

CPU = [torch.device("cpu")]
TRAIN = torch.tensor([[5.0, 0, 3, 0], [0, 4, 1, 2], [0, 0, 0, 0]])
TEST = torch.tensor([[0.0, 2, 0, 0], [0, 0, 0, 0], [1, 0, 0, 5]])
# Predictions of Plus at the test ratings: 1 for 2, 1 for 1, 1 for 5.
EXPECTED = pytest.approx(math.sqrt((1 + 0 + 16) / 3))


class Plus(nn.Module):
    """Predict each input plus 1, and record the modes in which it is called."""

    def __init__(self, error=None):
        super().__init__()
        self.error, self.modes = error, []

    def forward(self, ratings):
        self.modes.append((self.training, torch.is_grad_enabled()))
        if self.error:
            raise self.error
        return ratings + 1


class Table(nn.Module):
    def forward(self, users, items):
        assert not self.training
        assert not torch.is_grad_enabled()
        return (users + 10.0 * items) / 10


def triples(batch_size):
    users, items = torch.tensor([1, 2, 3, 4, 5]), torch.tensor([1, 2, 3, 1, 2])
    return d2l.load_array((users, items, torch.arange(1.0, 6)), batch_size, is_train=False)


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_rmse_by_hand_whatever_the_batches(batch_size):
    rows = d2l.load_array((TRAIN,), batch_size, is_train=False)
    assert d2l.evaluator(Plus(), rows, TEST, CPU) == EXPECTED
    net = Table().train()
    # Errors 0.1, 0.2, 0.3, 1.4 - 4 and 2.5 - 5.
    expected = pytest.approx(math.sqrt((0.01 + 0.04 + 0.09 + 6.76 + 6.25) / 5))
    assert d2l.evaluator_mf(net, triples(batch_size), CPU) == expected
    assert net.training


def test_rmse_and_mae_count_every_entry_and_masked_rmse_ratings_only():
    predictions, ratings = [4.0, 2.5, 1.0], [5.0, 2.5, 0.0]
    assert d2l.rmse(predictions, ratings) == pytest.approx(math.sqrt(2 / 3))
    assert mae(np.array(predictions), pd.Series(ratings)) == pytest.approx(2 / 3)
    assert d2l.masked_rmse(predictions, ratings) == pytest.approx(math.sqrt(1 / 2))
    # In float32 4096**2 + 1 is 4096**2.
    exact = d2l.masked_rmse(torch.tensor([4097.0, 2]), torch.tensor([1.0, 1]))
    assert exact == pytest.approx(math.sqrt((4096**2 + 1) / 2), rel=1e-12)


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame, torch.Tensor.byte, torch.Tensor.tolist])
def test_a_test_matrix_may_be_of_any_kind_and_number_type(kind):
    assert d2l.evaluator(Plus(), [TRAIN], kind(TEST), CPU) == EXPECTED


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("error", [None, RuntimeError("out of memory")])
def test_the_network_is_called_in_eval_mode_without_gradients_and_its_mode_restored(
    training, error
):
    net = Plus(error).train(training)
    with pytest.raises(RuntimeError, match="memory") if error else nullcontext():
        d2l.evaluator(net, [TRAIN], TEST, CPU)
    assert net.modes == [(False, False)]
    assert net.training is training
    assert torch.is_grad_enabled()


def test_a_loader_that_shuffles_is_refused_and_one_in_order_is_not():
    """Predictions would be compared with the ratings of other rows."""
    for loader in (
        d2l.load_array((TRAIN,), 2),
        d2l.load_array((TRAIN,), 2, last_batch="rollover"),
        DataLoader(TRAIN, 2, shuffle=True),
        DataLoader(TRAIN, 2, sampler=SubsetRandomSampler([0, 1, 2])),
        DataLoader(TRAIN, 2, sampler=WeightedRandomSampler([1, 1, 1], 3)),
    ):
        with pytest.raises(ValueError, match="test_iter shuffles its rows"):
            d2l.evaluator(Plus(), loader, TEST, CPU)
    for loader in (DataLoader(TRAIN, 2), DataLoader(TRAIN, batch_sampler=[[0, 1], [2]])):
        assert d2l.evaluator(Plus(), loader, TEST, CPU) == EXPECTED


@pytest.mark.parametrize(
    ("test_iter", "test", "message"),
    [
        ([TRAIN], torch.zeros(3, 4), "the test set is empty: it holds no rating"),
        ([], TEST, "the data iterator yields no batch"),
        ([TRAIN], TEST > 0, r"got a mask \(bool\) or negative ratings"),
        ([TRAIN], -TEST, r"got a mask \(bool\) or negative ratings"),
        ([TRAIN], TEST[:2], r"predictions \(3, 4\) and ratings \(2, 4\) differ in shape"),
        ([TRAIN], TEST[:1], r"predictions \(3, 4\) and ratings \(1, 4\) differ in shape"),
    ],
)
def test_test_data_that_would_give_a_wrong_number_are_refused(test_iter, test, message):
    with pytest.raises(ValueError, match=message):
        d2l.evaluator(Plus(), test_iter, test, CPU)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_prediction_that_is_not_finite_is_refused_where_there_is_a_rating(number):
    train = TRAIN.clone()
    train[0, 2] = number  # not rated in the test matrix
    assert d2l.evaluator(Plus(), [train], TEST, CPU) == EXPECTED
    train[0, 1] = number
    message = "of 3 predictions 1 are not finite: look for NaN in the data, or lower the learn"
    with pytest.raises(FloatingPointError, match=message):
        d2l.evaluator(Plus(), [train], TEST, CPU)
    for function in (d2l.rmse, mae):
        with pytest.raises(FloatingPointError, match="of 2 predictions 1 are not finite"):
            function([number, 1.0], [5.0, 1.0])
        with pytest.raises(ValueError, match="differ in shape"):
            function(torch.ones(3), torch.ones(3, 1))
