"""What a table of ratings can be, and one clear error for each thing that it cannot be."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l.data.tensors import pair_indices, rating_triples

DOORS = [d2l.split_data_ml100k, d2l.load_data_ml100k, rating_triples, pair_indices]
NEED_PAIRS = DOORS[:3]


@pytest.fixture
def data():
    """Four users, three items, seven ratings."""
    columns = {"user_id": [1, 1, 2, 2, 3, 4, 4], "item_id": [1, 2, 1, 3, 2, 3, 1]}
    return pd.DataFrame({**columns, "rating": [5, 3, 4, 1, 2, 4, 2], "timestamp": range(7)})


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("column", ["user_id", "item_id"])
@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (lambda ids: "u" + ids.astype(str), "'u1' ({}) in data.iloc[0]"),
        (lambda ids: ids.astype(str), "'1' ({}) in data.iloc[0]"),
        (lambda ids: ids.astype(str).astype(object), "'1' ({}) in data.iloc[0]"),
        (lambda ids: ids.astype("category"), "1 ({}) in data.iloc[0]"),
        (lambda ids: pd.Series([*ids[:-1], "seven"]), "'seven' ({}) in data.iloc[6]"),
        (lambda ids: ids > 2, "False ({}) in data.iloc[0]"),
    ],
)
def test_ids_that_are_no_numbers_are_refused(data, door, column, change, shown):
    data[column] = change(data[column])
    with pytest.raises(ValueError, match=f"{column} must be numbers") as error:
        door(data, 4, 3)
    assert str(error.value).endswith(
        f"got {shown.format(data[column].dtype)}; digits become numbers by data['{column}']"
        f".astype(int), names by pd.factorize(data['{column}'])[0] + 1"
    )


def test_both_ways_out_work(data):
    digits = data.assign(user_id=data["user_id"].astype(str))
    names = data.assign(user_id="user " + digits["user_id"])
    expected = d2l.load_data_ml100k(data, 4, 3)[3]
    digits["user_id"] = digits["user_id"].astype(int)
    names["user_id"] = pd.factorize(names["user_id"])[0] + 1
    assert torch.equal(d2l.load_data_ml100k(digits, 4, 3)[3], expected)
    assert torch.equal(d2l.load_data_ml100k(names, 4, 3)[3], expected)


@pytest.mark.parametrize("door", [d2l.load_data_ml100k, rating_triples])
def test_ratings_that_are_no_numbers_are_refused(data, door):
    with pytest.raises(ValueError, match="rating must be numbers, got '5'"):
        door(data.assign(rating=data["rating"].astype(str)), 4, 3)


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "Int64", "Int32", "Float64", "int32", "int8", "uint8", "object"]
)
def test_numbers_of_any_type_will_do(data, dtype):
    expected = d2l.load_data_ml100k(data, 4, 3)
    typed = data.astype({name: dtype for name in ("user_id", "item_id", "rating")})
    for found, tensor in zip(d2l.load_data_ml100k(typed, 4, 3), expected, strict=True):
        assert torch.equal(found, tensor)
        assert found.dtype == tensor.dtype
    for mode in ("random", "seq-aware"):
        parts = d2l.split_data_ml100k(typed, 4, 3, mode, 0.3)
        assert [list(part.index) for part in parts] == [
            list(part.index) for part in d2l.split_data_ml100k(data, 4, 3, mode, 0.3)
        ]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("bad", [0, 5, -1, 1.5, np.nan, np.inf, 2**40])
@pytest.mark.parametrize("dtype", ["float64", "Float64"])
def test_an_id_out_of_range_is_shown_with_its_row(data, door, bad, dtype):
    data = data.astype({"user_id": dtype})
    data.iloc[3, 0] = bad
    with pytest.raises(ValueError, match="user_id must be whole numbers from 1 to 4") as error:
        door(data, 4, 3)
    assert f"got {bad:.15g} in data.iloc[3]" in str(error.value)


@pytest.mark.parametrize("door", NEED_PAIRS)
def test_of_a_table_put_together_the_real_ids_and_the_row_are_shown(data, door):
    part = data.iloc[1:4]
    with pytest.raises(ValueError, match=r"user 1 rates item 2 a second time in data.iloc\[3\]"):
        door(pd.concat([part, part]), 4, 3)
    other = part.assign(user_id=99)
    with pytest.raises(ValueError, match=r"got 99 in data.iloc\[3\]"):
        door(pd.concat([part, other]), 4, 3)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_a_missing_column_is_named_with_those_that_are_there(data, door, column):
    other = data.rename(columns={column: "id"})
    with pytest.raises(ValueError, match=f"needs one column '{column}', it has .*rename") as error:
        door(other, 4, 3)
    assert ", ".join(other.columns) in str(error.value)
    with pytest.raises(ValueError, match=f"needs one column '{column}'"):
        door(pd.concat([data, data[[column]]], axis=1), 4, 3)


def test_a_column_that_is_not_needed_may_be_missing(data):
    pairs = data[["user_id", "item_id"]]
    assert [len(part) for part in d2l.split_data_ml100k(pairs, 4, 3, test_ratio=0.3)] == [5, 2]
    users, items = pair_indices(pd.concat([pairs, pairs]), 4, 3)
    assert users.tolist() == [0, 0, 1, 1, 2, 3, 3] * 2
    assert items.tolist() == [0, 1, 0, 2, 1, 2, 0] * 2
    scores = d2l.load_data_ml100k(pairs, 4, 3, "implicit")[2]
    assert scores.tolist() == [1] * 7
    with pytest.raises(ValueError, match="needs one column 'rating'"):
        d2l.load_data_ml100k(pairs, 4, 3)
    with pytest.raises(ValueError, match="needs one column 'timestamp'"):
        d2l.split_data_ml100k(pairs, 4, 3, "seq-aware")


def test_seq_aware_needs_every_timestamp(data):
    data = data.astype({"timestamp": "Int64"})
    data.iloc[2, 3] = pd.NA
    with pytest.raises(ValueError, match=r"timestamp is missing in data.iloc\[2\]"):
        d2l.split_data_ml100k(data, 4, 3, "seq-aware")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("what", [[[1, 1, 5]], np.ones((3, 3)), None])
def test_what_is_no_table_is_refused(door, what):
    with pytest.raises(TypeError, match=r"a table must be a pandas.DataFrame, got"):
        door(what, 4, 3)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("size", [0, -1, 4.0, True, "4", None, np.float64(4), float("nan")])
@pytest.mark.parametrize("name", ["num_users", "num_items"])
def test_a_size_that_is_no_whole_number_above_0_is_refused(data, door, name, size):
    sizes = {"num_users": 4, "num_items": 3} | {name: size}
    message = f"{name} must be a whole number, at least 1, got {size!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        door(data, **sizes)


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_numbers_out_of_numpy_are_as_good(data, kind):
    assert d2l.load_data_ml100k(data, kind(4), kind(3))[3].shape == (3, 4)
    parts = d2l.split_data_ml100k(data, kind(4), kind(3), "random", np.float32(0.3), kind(2))
    same = d2l.split_data_ml100k(data, 4, 3, "random", 0.3, 2)
    assert parts[1].equals(same[1])
    batches, expected = (
        list(d2l.load_array((torch.arange(7),), size, seed=seed))
        for size, seed in ((kind(3), kind(2)), (3, 2))
    )
    assert all(torch.equal(a, b) for a, b in zip(batches, expected, strict=True))


@pytest.mark.parametrize("seed", [-1, 1.5, None, True])
def test_a_seed_that_is_no_whole_number_is_refused(data, seed):
    with pytest.raises(ValueError, match="seed must be a whole number, at least 0, got"):
        d2l.split_data_ml100k(data, 4, 3, seed=seed)
    with pytest.raises(ValueError, match="seed must be a whole number, at least 0, got"):
        d2l.load_array((torch.ones(3),), 2, seed=seed)
