"""Batches: their order, their sizes and their number types, and how an order is saved."""

from collections import Counter
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import autorec_d2l as d2l
from autorec_d2l.data.loaders import (
    RolloverBatchSampler,
    batches_for,
    loader_state,
    restore_loader_state,
)

ROWS = torch.arange(1682.0)


def order(batches):
    return torch.cat(list(batches)).tolist()


@pytest.mark.parametrize(
    ("batch_size", "last_batch", "steps", "sizes", "length"),
    [
        (256, "keep", 175, {256, 146}, 7),
        (256, "discard", 150, {256}, 6),
        (256, "rollover", 164, {256}, 7),
        (8, "rollover", 5256, {8}, 211),
    ],
)
def test_25_epochs_and_the_length_of_the_longest(batch_size, last_batch, steps, sizes, length):
    """A schedule over ``epochs * len(train_iter)`` steps must not end before training does."""
    train_iter = d2l.load_array((ROWS,), batch_size, last_batch=last_batch)
    epochs = [[len(batch) for batch in train_iter] for _ in range(25)]
    assert sum(map(len, epochs)) == steps
    assert set(chain.from_iterable(epochs)) == sizes
    assert len(train_iter) == max(map(len, epochs)) == length


def test_rollover_yields_first_what_was_left_over():
    train_iter = d2l.load_array((ROWS,), 256, last_batch="rollover")
    first, second = order(train_iter), order(train_iter)
    assert set(second[:146]) == set(ROWS.tolist()) - set(first)
    # 1682 + 146 rows are 7 batches and 36 rows: each row was seen once or twice in two epochs.
    assert Counter(Counter(first + second).values()) == {2: 1646, 1: 36}


def test_rollover_of_less_than_a_batch_waits_until_it_is_full():
    batches = RolloverBatchSampler(range(3), batch_size=5)
    assert [list(batches) for _ in range(5)] == [
        [],
        [[0, 1, 2, 0, 1]],
        [],
        [[2, 0, 1, 2, 0]],
        [[1, 2, 0, 1, 2]],
    ]


def test_training_batches_are_shuffled_in_each_epoch_by_their_own_seed():
    def epochs(seed, global_seed):
        torch.manual_seed(global_seed)
        batches = d2l.load_array((torch.arange(100),), 30, seed=seed)
        return [order(batches) for _ in range(3)]

    first, second, third = epochs(0, 0)
    assert sorted(first) == list(range(100))
    assert list(range(100)) != first != second != third != first
    assert epochs(np.int64(0), 1) == [first, second, third]
    assert epochs(1, 0)[0] != first


@pytest.mark.parametrize(("last_batch", "end"), [("keep", 10), ("discard", 9), ("rollover", 9)])
def test_evaluation_batches_are_in_order(last_batch, end):
    batches = d2l.load_array((torch.arange(10),), 3, is_train=False, last_batch=last_batch)
    assert order(batches) == list(range(end))


def test_batches_of_several_tensors_are_those_of_a_tensor_dataset():
    columns = torch.arange(1000), torch.rand(1000)
    ours = d2l.load_array(columns, 300, last_batch="rollover")
    plain = DataLoader(TensorDataset(*columns), sampler=ours.sampler, batch_size=None)
    state = loader_state(ours)
    batches = [batch for _ in range(3) for batch in ours]
    restore_loader_state(ours, state)
    for one, other in zip(batches, (b for _ in range(3) for b in plain), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer, at least 1, got 0"),
        ({"seed": 1.5}, "seed must be an integer, at least 0, got 1.5"),
        ({"last_batch": "drop"}, "keep, discard or rollover, got 'drop'"),
    ],
)
def test_other_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        d2l.load_array((ROWS,), **{"batch_size": 256, **options})


def test_batches_get_the_number_types_of_the_network():
    net = nn.Linear(2, 2).double()
    batch = (np.array([1, 2], "int32"), pd.Series([0.5, 1]), [4, 5])
    [[users, weights, scores]] = batches_for(net, [batch])
    assert (users.dtype, weights.dtype, scores.dtype) == (torch.int64, *[torch.float64] * 2)
    assert scores.tolist() == [4, 5]
    [[single]] = batches_for(nn.Identity(), [torch.tensor([1, 2])])
    assert single.dtype == torch.float32


@pytest.mark.parametrize("last_batch", ["keep", "rollover"])
def test_a_saved_order_continues_in_another_loader(last_batch):
    one, other = (d2l.load_array((ROWS,), 256, seed=seed, last_batch=last_batch) for seed in (0, 1))
    order(one)
    restore_loader_state(other, loader_state(one))
    assert [order(other), order(other)] == [order(one), order(one)]
    with pytest.raises(TypeError, match="cannot hold the state of train_iter, a generator"):
        loader_state(batch for batch in one)
