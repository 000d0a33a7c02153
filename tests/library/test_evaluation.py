"""RMSE over held-out cells: by hand, against numpy, and what the network is like afterwards."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, SubsetRandomSampler, WeightedRandomSampler

import autorec_d2l as d2l
from autorec_d2l.evaluation import masked_mae

CPU = [torch.device("cpu")]
TRAIN = torch.tensor([[5.0, 0, 3, 0], [0, 4, 1, 2], [0, 0, 0, 0]])
TEST = torch.tensor([[0.0, 2, 0, 0], [0, 0, 0, 0], [1, 0, 0, 5]])


class Plus(nn.Module):
    """Predict each input plus 1; write down in which state it was asked."""

    def __init__(self, fail=False):
        super().__init__()
        self.fail, self.states = fail, []

    def forward(self, ratings):
        self.states.append((self.training, torch.is_grad_enabled()))
        if self.fail:
            raise RuntimeError("out of memory")
        return ratings + 1


class Table(nn.Module):
    """Predict, for a user and an item, what stands in a table."""

    def forward(self, users, items):
        return (users + 10.0 * items) / 10


def rows(batch_size=2):
    return d2l.load_array((TRAIN,), batch_size, is_train=False)


def triples(batch_size):
    users, items = torch.tensor([1, 2, 3, 4, 5]), torch.tensor([1, 2, 3, 1, 2])
    scores = torch.tensor([1.0, 2, 3, 4, 5])
    return d2l.load_array((users, items, scores), batch_size, is_train=False)


def test_autorec_rmse_by_hand():
    # The cells of the test matrix: 1 against 2, 1 against 1, 1 against 5.
    assert d2l.evaluator(Plus(), rows(), TEST, CPU) == pytest.approx(math.sqrt((1 + 0 + 16) / 3))


def test_mf_rmse_by_hand():
    # Errors 0.1, 0.2, 0.3, 1.4 - 4 and 2.5 - 5.
    expected = math.sqrt((0.01 + 0.04 + 0.09 + 6.76 + 6.25) / 5)
    assert d2l.evaluator_mf(Table(), triples(2), CPU) == pytest.approx(expected)


def test_mae_by_hand():
    # Errors -1 and 3 in one pair, 0.5 in the other: one mean over all three.
    pairs = [
        (torch.tensor([[1.0, 9], [5, 4]]), torch.tensor([[2.0, 0], [2, 0]])),
        (torch.tensor([4.5]), torch.tensor([4.0])),
    ]
    assert masked_mae(pairs) == pytest.approx(4.5 / 3)
    assert masked_mae(iter(pairs)) == masked_mae(pairs)


def test_mae_refuses_what_rmse_refuses():
    with pytest.raises(ValueError, match="differ in shape"):
        masked_mae([(torch.ones(2), torch.ones(3, 2))])
    with pytest.raises(ValueError, match="empty"):
        masked_mae([(torch.ones(2), torch.zeros(2))])


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_the_size_of_a_batch_does_not_matter(batch_size):
    assert d2l.evaluator(Plus(), rows(batch_size), TEST, CPU) == pytest.approx(math.sqrt(17 / 3))
    whole = d2l.evaluator_mf(Table(), triples(5), CPU)
    assert d2l.evaluator_mf(Table(), triples(batch_size), CPU) == pytest.approx(whole)


def test_autorec_rmse_against_numpy():
    random = np.random.default_rng(0)
    train = random.integers(0, 6, (50, 40)).astype("float32")
    test = np.where(train == 0, random.integers(0, 6, (50, 40)), 0)
    torch.manual_seed(0)
    net = d2l.AutoRec(8, 40)
    predictions = net.eval()(torch.tensor(train)).detach().numpy()
    expected = np.sqrt(np.mean((predictions[test > 0] - test[test > 0]) ** 2))
    batches = d2l.load_array((torch.tensor(train),), 7, is_train=False)
    assert d2l.evaluator(net.train(), batches, torch.tensor(test), CPU) == pytest.approx(expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_a_numpy_test_matrix_is_as_good_as_a_tensor(dtype):
    found = d2l.evaluator(Plus(), rows(), TEST.numpy().astype(dtype), CPU)
    assert found == pytest.approx(math.sqrt(17 / 3))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fail", [True, False])
def test_the_network_is_asked_in_eval_mode_without_gradients_and_gets_its_mode_back(training, fail):
    net = Plus(fail).train(training)
    if fail:
        with pytest.raises(RuntimeError, match="out of memory"):
            d2l.evaluator(net, rows(), TEST, CPU)
    else:
        d2l.evaluator(net, rows(), TEST, CPU)
    assert set(net.states) == {(False, False)}
    assert net.training is training
    assert torch.is_grad_enabled()


def test_mf_is_asked_in_eval_mode_too():
    class Watched(Table):
        def forward(self, users, items):
            assert not self.training
            assert not torch.is_grad_enabled()
            return super().forward(users, items)

    net = Watched().train()
    d2l.evaluator_mf(net, triples(2), CPU)
    assert net.training


def test_evaluating_gives_the_network():
    net = Plus()
    with d2l.evaluating(net) as same:
        assert same is net
        assert not net.training


def test_an_empty_test_set_is_refused():
    message = "the test set is empty: no cell of it is rated"
    with pytest.raises(ValueError, match=message):
        d2l.evaluator(Plus(), rows(), torch.zeros(3, 4), CPU)
    with pytest.raises(ValueError, match=message):
        d2l.masked_rmse([])


def test_a_test_iter_that_is_used_up_is_refused():
    used_up = iter([TRAIN])
    assert d2l.evaluator(Plus(), used_up, TEST, CPU) == pytest.approx(math.sqrt(17 / 3))
    message = "the test set is empty: test_iter gives no batch, or can be used only once"
    with pytest.raises(ValueError, match=message):
        d2l.evaluator(Plus(), used_up, TEST, CPU)
    with pytest.raises(ValueError, match=message):
        d2l.evaluator_mf(Table(), [], CPU)


@pytest.mark.parametrize(
    "loader",
    [
        d2l.load_array((TRAIN,), 2),
        d2l.load_array((TRAIN,), 2, last_batch="rollover"),
        DataLoader(TRAIN, 2, shuffle=True),
        DataLoader(TRAIN, 2, sampler=SubsetRandomSampler([0, 1, 2])),
        DataLoader(TRAIN, 2, sampler=WeightedRandomSampler([1, 1, 1], 3)),
    ],
)
def test_a_test_iter_that_shuffles_is_refused(loader):
    # The answers would be those of other rows: a wrong number, without a word.
    with pytest.raises(ValueError, match="test_iter shuffles its rows"):
        d2l.evaluator(Plus(), loader, TEST, CPU)


def test_a_test_iter_in_order_is_taken_whoever_made_it():
    for loader in (rows(), DataLoader(TRAIN, 2), DataLoader(TRAIN, batch_sampler=[[0, 1], [2]])):
        assert d2l.evaluator(Plus(), loader, TEST, CPU) == pytest.approx(math.sqrt(17 / 3))


@pytest.mark.parametrize("shape", [(3, 5), (2, 4), (4, 3), (3,), (1, 4)])
def test_matrices_of_different_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="differ in shape; a test matrix needs the rows") as error:
        d2l.evaluator(Plus(), rows(), torch.ones(shape), CPU)
    assert "predictions (3, 4)" in str(error.value)
    assert f"ratings {tuple(shape)}" in str(error.value)


def test_the_sum_is_as_exact_as_float64():
    predictions, ratings = torch.tensor([4097.0, 2]), torch.tensor([1.0, 1])
    # In float32 4096**2 + 1 is 4096**2.
    assert d2l.masked_rmse([(predictions, ratings)]) == math.sqrt((4096**2 + 1) / 2)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_prediction_that_is_no_number_is_refused_where_it_counts(number):
    class Broken(Plus):
        def forward(self, ratings):
            predictions = super().forward(ratings)
            predictions[0, broken] = number
            return predictions

    broken = 2  # no cell of the test matrix
    assert d2l.evaluator(Broken(), rows(3), TEST, CPU) == pytest.approx(math.sqrt(17 / 3))
    broken = 1
    message = "of 3 predictions 1 are not finite: look for NaN in the data, or lower the learn"
    with pytest.raises(FloatingPointError, match=message):
        d2l.evaluator(Broken(), rows(3), TEST, CPU)
    with pytest.raises(FloatingPointError, match="of 2 predictions 1 are not finite"):
        d2l.masked_rmse([(torch.tensor([number, 1]), torch.tensor([5.0, 1]))])
    with pytest.raises(FloatingPointError, match="of 2 predictions 1 are not finite"):
        masked_mae([(torch.tensor([number, 1]), torch.tensor([5.0, 1]))])


@pytest.mark.parametrize("pairs", [(torch.ones(2, 3), torch.ones(2, 3)), [(TEST, TEST, TEST)], [5]])
def test_what_is_no_pair_is_refused(pairs):
    """Two tensors without the list would be compared row by row, the first with the second."""
    with pytest.raises(TypeError, match=r"pairs must be \(predictions, ratings\), got"):
        d2l.masked_rmse(pairs)


@pytest.mark.parametrize("kind", [np.asarray, list, pd.DataFrame])
def test_a_test_matrix_may_be_whatever_holds_its_numbers(kind):
    test = kind(TEST.tolist()) if kind is list else kind(TEST.numpy())
    assert d2l.evaluator(Plus(), rows(), test, CPU) == pytest.approx(math.sqrt(17 / 3))
