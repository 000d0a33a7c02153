"""Weights of a blend against a plain search over a grid."""

import numpy as np
import pandas as pd
import pytest
import torch

from autorec_d2l import experiments


@pytest.fixture
def table():
    return pd.DataFrame({"rating": np.random.RandomState(0).randint(1, 6, 500)})


def member(table, noise, seed):
    random = np.random.RandomState(seed)
    return torch.tensor(table["rating"].to_numpy() + random.normal(0, noise, len(table)))


def test_two_members_get_the_weight_that_a_grid_finds(table):
    members = {"good": member(table, 0.5, 1), "bad": member(table, 1.0, 2)}
    weights = experiments.fit_weights(members, table, penalty=0.0)
    grid = np.linspace(0, 1, 1001)
    errors = [
        experiments.score(w * members["good"] + (1 - w) * members["bad"], table)["rmse"]
        for w in grid
    ]
    assert weights["good"] == pytest.approx(grid[np.argmin(errors)], abs=0.001)
    assert 0.6 < weights["good"] < 0.9
    mixed = experiments.mix(members, weights)
    assert experiments.score(mixed, table)["rmse"] == pytest.approx(min(errors), abs=1e-5)


def test_weights_sum_to_one_and_none_is_negative(table):
    members = {f"m{i}": member(table, 0.4 + 0.4 * i, i) for i in range(5)}
    members["far off"] = members["m0"] + 3
    weights = experiments.fit_weights(members, table, penalty=1.0)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    assert weights["far off"] == pytest.approx(0, abs=1e-9)
    assert weights.index.tolist() == list(members)


def test_a_large_penalty_makes_weights_equal(table):
    members = {"good": member(table, 0.2, 1), "bad": member(table, 2.0, 2)}
    assert experiments.fit_weights(members, table, penalty=1e9)["good"] == pytest.approx(
        0.5, abs=1e-3
    )
    assert experiments.fit_weights(members, table, penalty=0.0)["good"] > 0.9


def test_blends_refuse(table):
    short = {"a": member(table, 1, 1), "b": member(table, 1, 2)[:-1]}
    whole = {"a": member(table, 1, 1)}
    for members in (short, {}):
        with pytest.raises(RuntimeError, match="stack expects"):
            experiments.fit_weights(members, table)
    for members, ratings in ((whole, table[1:]), ({"a": whole["a"] / 0}, table)):
        with pytest.raises(ValueError, match=r"(?i)dimensions|infs or NaNs"):
            experiments.fit_weights(members, ratings)
    with pytest.raises(ValueError, match=r"members \['a'\] but weights \['b'\]"):
        experiments.mix(whole, {"b": 1.0})
