"""The three ways to end an epoch, counted as in MXNet's Gluon."""

from collections import Counter

import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l.data.loaders import RolloverBatchSampler

ROWS = torch.arange(1682.0)


@pytest.mark.parametrize(
    ("last_batch", "steps", "sizes"),
    [("keep", 175, {256, 146}), ("discard", 150, {256}), ("rollover", 164, {256})],
)
def test_25_epochs_of_the_listing(last_batch, steps, sizes):
    train_iter = d2l.load_array((ROWS,), 256, last_batch=last_batch)
    announced, found = 0, []
    for _ in range(25):
        announced += len(train_iter)
        found += [len(batch) for batch in train_iter]
    assert len(found) == announced == steps
    assert set(found) == sizes


def test_rollover_shows_what_was_left_over_first():
    train_iter = d2l.load_array((ROWS,), 256, last_batch="rollover")
    first = torch.cat(list(train_iter))
    left_over = set(ROWS.tolist()) - set(first.tolist())
    second = torch.cat(list(train_iter))
    assert set(second[:146].tolist()) == left_over
    # 1682 + 146 rows are 7 batches and 36 rows: each row was seen once or twice in two epochs.
    assert Counter(Counter(torch.cat([first, second]).tolist()).values()) == {2: 1646, 1: 36}


def test_rollover_smaller_than_a_batch_waits_until_it_is_full():
    batches = RolloverBatchSampler(range(3), batch_size=5)
    assert [list(batches) for _ in range(5)] == [
        [],
        [[0, 1, 2, 0, 1]],
        [],
        [[2, 0, 1, 2, 0]],
        [[1, 2, 0, 1, 2]],
    ]


def test_other_ends_are_refused():
    with pytest.raises(ValueError, match="keep, discard, rollover, got 'drop'"):
        d2l.load_array((ROWS,), 256, last_batch="drop")
