"""What a table of ratings can be, and one error for each thing that it cannot be."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import autorec_d2l as d2l
from autorec_d2l.data.tensors import pair_indices, rating_triples
from autorec_d2l.data.validation import check_pairs, check_trainer

ENTRIES = [d2l.split_data_ml100k, d2l.load_data_ml100k, rating_triples, pair_indices]


@pytest.fixture
def data():
    """Four users, three items, seven ratings."""
    columns = {"user_id": [1, 1, 2, 2, 3, 4, 4], "item_id": [1, 2, 1, 3, 2, 3, 1]}
    return pd.DataFrame({**columns, "rating": [5, 3, 4, 1, 2, 4, 2], "timestamp": range(7)})


@pytest.mark.parametrize("enter", ENTRIES)
def test_every_entry_refuses_ids_out_of_range_and_duplicate_pairs(data, enter):
    with pytest.raises(ValueError, match=r"item_id .* 1 to 3, got 4 in data.iloc\[3\]"):
        enter(data.assign(item_id=[1, 2, 1, 4, 2, 3, 1]), 4, 3)
    with pytest.raises(ValueError, match="the table of ratings is empty"):
        enter(data[:0], 4, 3)
    with pytest.raises(ValueError, match="num_users must be an integer, at least 1, got 0"):
        enter(data, 0, 3)
    if enter is not pair_indices:
        with pytest.raises(
            ValueError, match=r"user 4 rates item 3 a second time in data.iloc\[6\]"
        ):
            enter(data.assign(item_id=[1, 2, 1, 3, 2, 3, 3]), 4, 3)


@pytest.mark.parametrize("bad", [0, 5, 1.5, np.nan, 2.0**70])
def test_an_id_out_of_range_is_shown_with_its_row(data, bad):
    for dtype in ("float64", "Float64"):
        table = data.astype({"user_id": dtype})
        table.iloc[3, 0] = bad
        with pytest.raises(ValueError, match=r"user_id must be an integer, 1 to 4, got ") as error:
            rating_triples(table, 4, 3)
        assert f"got {bad:.15g} in data.iloc[3]" in str(error.value)


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (lambda ids: "u" + ids.astype(str), r"'u1' .*iloc\[0\]"),
        (lambda ids: ids.astype("category"), r"1 \(category\) in data.iloc\[0\]"),
        (lambda ids: pd.Series([*ids[:-1], "seven"]), r"'seven' \(object\) in data.iloc\[6\]"),
        (lambda ids: ids > 2, r"False \(bool\) in data.iloc\[0\]"),
    ],
)
def test_a_column_that_is_not_numeric_is_refused(data, change, shown):
    for name in ("user_id", "rating"):
        with pytest.raises(ValueError, match=f"{name} must be numbers, got ") as error:
            rating_triples(data.assign(**{name: change(data["user_id"])}), 4, 3)
        assert error.match(f"{shown}.*astype.int.*pd.factorize.data..{name}")


@pytest.mark.parametrize("dtype", ["float32", "Int64", "uint8", "object"])
def test_any_numeric_type_is_accepted(data, dtype):
    expected = d2l.load_data_ml100k(data, 4, 3)
    typed = data.astype({name: dtype for name in ("user_id", "item_id", "rating")})
    for found, tensor in zip(d2l.load_data_ml100k(typed, 4, 3), expected, strict=True):
        assert torch.equal(found, tensor)
        assert found.dtype == tensor.dtype
    assert d2l.split_data_ml100k(typed, 4, 3, "seq-aware")[1].index.tolist() == [1, 3, 4, 6]


def test_sizes_and_seeds_of_numpy_are_accepted(data):
    parts = d2l.split_data_ml100k(data, np.int64(4), np.uint8(3), "random", 0.3, np.int32(2))
    assert parts[1].equals(d2l.split_data_ml100k(data, 4, 3, "random", 0.3, 2)[1])
    for size in (4.0, True):
        with pytest.raises(ValueError, match="num_users must be an integer, at least 1, got"):
            pair_indices(data, size, 3)


def test_pairs_of_large_ids_are_compared_exactly():
    """A key of ``user * (largest item + 1) + item`` would overflow, and be the same for both."""
    users, items = np.array([0, 2**31]), np.array([2**33 - 1, 2**33 - 1])
    check_pairs(users, items)
    with pytest.raises(ValueError, match="user 2147483648 rates item 8589934591 a second time"):
        check_pairs(users[[0, 1, 1]], items[[0, 1, 1]])


def test_a_missing_column_is_named_with_the_others(data):
    with pytest.raises(ValueError, match="needs one column 'item_id', it has user_id, id, rating"):
        rating_triples(data.rename(columns={"item_id": "id"}), 4, 3)
    with pytest.raises(ValueError, match="needs one column 'user_id'"):
        rating_triples(pd.concat([data, data[["user_id"]]], axis=1), 4, 3)


def test_a_column_that_is_not_needed_may_be_missing(data):
    pairs = data[["user_id", "item_id"]]
    assert [len(part) for part in d2l.split_data_ml100k(pairs, 4, 3, test_ratio=0.3)] == [5, 2]
    users, items = pair_indices(pd.concat([pairs, pairs]), 4, 3)
    assert users.tolist() == [0, 0, 1, 1, 2, 3, 3] * 2
    assert items.tolist() == [0, 1, 0, 2, 1, 2, 0] * 2
    assert d2l.load_data_ml100k(pairs, 4, 3, "implicit")[2].tolist() == [1] * 7
    with pytest.raises(ValueError, match="needs one column 'timestamp'"):
        d2l.split_data_ml100k(pairs, 4, 3, "seq-aware")


def test_seq_aware_needs_every_timestamp(data):
    data = data.astype({"timestamp": "Int64"})
    data.iloc[2, 3] = pd.NA
    with pytest.raises(ValueError, match=r"timestamp is missing in data.iloc\[2\]"):
        d2l.split_data_ml100k(data, 4, 3, "seq-aware")


def test_a_trainer_of_another_network_is_refused():
    net, other = nn.Linear(2, 2), nn.Linear(2, 2)
    check_trainer(net, torch.optim.SGD([*other.parameters(), net.bias], lr=0.1))
    with pytest.raises(ValueError, match="trainer holds no parameter of net"):
        check_trainer(net, torch.optim.SGD(other.parameters(), lr=0.1))
    with pytest.raises(ValueError, match="trainer holds no parameter of net"):
        check_trainer(net.requires_grad_(False), torch.optim.SGD(net.parameters(), lr=0.1))
