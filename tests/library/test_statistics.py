"""Intervals and tests, against scipy and closed forms."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from autorec_d2l import experiments


@pytest.mark.parametrize("splits", [2, 5])
def test_paired_interval_against_scipy_where_nothing_overlaps(splits):
    """With a tiny test part the correction vanishes, and Student's interval is left."""
    differences = np.random.RandomState(splits).normal(0.3, 2.0, splits)
    mean, half_width = experiments.paired_interval(pd.Series(differences), test_ratio=1e-12)
    interval = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (mean - half_width, mean + half_width) == pytest.approx(tuple(interval))


def test_the_correction_is_that_of_nadeau_and_bengio():
    """For ten 90/10 splits the variance is 1/10 + 1/9 in place of 1/10."""
    for splits, test_ratio, more in ((10, 0.1, 10 / 9), (5, 0.2, 5 / 4)):
        differences = np.random.RandomState(0).normal(size=splits)
        _, corrected = experiments.paired_interval(differences, test_ratio)
        _, plain = experiments.paired_interval(differences, test_ratio=1e-12)
        assert corrected / plain == pytest.approx((1 + more) ** 0.5)


def test_p_values_are_the_other_side_of_the_interval():
    differences = pd.DataFrame(np.random.RandomState(1).normal(0.8, 1.0, (5, 200)))
    mean, half_width = experiments.paired_interval(differences)
    p = experiments.p_values(differences)
    assert ((p < 0.05) == (mean.abs() > half_width)).all()
    assert 0 < (p < 0.05).sum() < 200
    plain = experiments.p_values(differences, test_ratio=1e-12)
    assert plain.to_numpy() == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert experiments.p_values(pd.DataFrame({"same": [0.0, 0.0]})).item() == pytest.approx(1)
    assert experiments.p_values(pd.DataFrame({"always": [0.1, 0.1]})).item() < 1e-6


@pytest.mark.parametrize(
    ("differences", "ratio", "message"),
    [
        ([0.1], 0.1, "at least 2 splits, got 1"),
        ([0.1, np.nan], 0.1, "must be finite"),
        ([0.1, 0.2], 1.0, "test_ratio must lie between 0 and 1"),
    ],
)
def test_intervals_refuse(differences, ratio, message):
    with pytest.raises(ValueError, match=message):
        experiments.paired_interval(pd.Series(differences), ratio)


def test_holm_against_its_definition():
    """Holm's own example: compare the k-th smallest with level / (m - k + 1), until one fails."""
    p = pd.Series({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    table = experiments.holm(p)
    assert table["adjusted"].to_dict() == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert table["significant"].to_dict() == {"a": True, "b": False, "c": False, "d": True}


@pytest.mark.parametrize("p", [{}, {"a": np.nan}, {"a": 1.2}])
def test_holm_refuses(p):
    with pytest.raises(ValueError, match="p-values must be 0 to 1"):
        experiments.holm(p)


def sweep_table(**rmse):
    return (
        pd.DataFrame(rmse)
        .rename_axis("split")
        .melt(var_name="model", value_name="test_rmse", ignore_index=False)
        .reset_index()
    )


def test_compare_takes_differences_split_by_split():
    rmse = {"default": [1.0, 2.0, 3.0], "better": [0.9, 1.9, 2.9], "other": [1.1, 1.9, 3.2]}
    rows = sweep_table(**rmse)
    table = experiments.compare(rows, "default")
    assert table.index.tolist() == list(rmse)  # in the order of the sweep
    assert table["difference"].tolist() == pytest.approx([0, -0.1, 0.2 / 3])
    assert table["better_on"].tolist() == [0, 3, 1]
    assert table.loc["better", ["low", "high"]].tolist() == pytest.approx([-0.1, -0.1])
    assert table.loc["other", "low"] < 0 < table.loc["other", "high"]
    assert table["std"].tolist() == pytest.approx([1, 1, np.std(rmse["other"], ddof=1)])
    assert table.loc["default", "p"] == pytest.approx(1)
    assert table.loc["other", "p"] > 0.05 > table.loc["better", "p"]
    wide = experiments.compare(rows, "default", test_ratio=0.2)
    assert wide.loc["other", "high"] > table.loc["other", "high"]


def test_compare_refuses_what_is_not_paired():
    rows = sweep_table(default=[1.0, 2.0], other=[1.0, 2.0])
    with pytest.raises(ValueError, match="differences must be finite"):
        experiments.compare(rows[:-1], "default")
    with pytest.raises(ValueError, match="duplicate entries"):
        experiments.compare(pd.concat([rows, rows[:1]]), "default")


def test_equivalent_is_two_one_sided_tests():
    differences, margin = np.array([0.001, -0.002, 0.0015, 0.0005, 0.001]), 0.005
    found = experiments.equivalent(differences, margin, test_ratio=1e-12)
    sides = [
        stats.ttest_1samp(differences, -margin, alternative="greater").pvalue,
        stats.ttest_1samp(differences, margin, alternative="less").pvalue,
    ]
    assert found.p == pytest.approx(max(sides))
    assert found.is_equivalent
    assert found.p < 0.025
    assert -margin < found.low < 0 < found.high < margin


def test_a_wide_interval_is_no_equivalence():
    found = experiments.equivalent([0.01, -0.02, 0.015, 0.005, -0.01], 0.005)
    assert found.low < 0 < found.high
    assert not found.is_equivalent
    assert found.p > 0.025
    assert not experiments.equivalent([0.006, 0.006], 0.005).is_equivalent  # sure, and too far away
    assert experiments.equivalent([0.004, 0.004], 0.005).is_equivalent


def test_bootstrap_against_scipy():
    random = np.random.RandomState(3)
    default = random.chisquare(1, 400)
    errors = default * random.uniform(0.7, 1.2, 400)
    found = experiments.bootstrap_users(errors, default, num_draws=4000, seed=1)

    def statistic(a, b):
        return np.sqrt(a.mean()) - np.sqrt(b.mean())

    oracle = stats.bootstrap(
        (errors, default),
        statistic,
        paired=True,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(0),
        n_resamples=2000,
    ).confidence_interval
    assert found.difference == pytest.approx(statistic(errors, default))
    assert (found.low, found.high) == pytest.approx(tuple(oracle), abs=0.002)
    assert found == experiments.bootstrap_users(errors, default, num_draws=4000, seed=1)
    assert found != experiments.bootstrap_users(errors, default, num_draws=4000, seed=2)


def test_bootstrap_draws_users_with_all_of_their_ratings():
    """Ten copies of a user's rating say no more than one: the interval stays as wide."""
    random = np.random.RandomState(4)
    default = random.chisquare(1, 100)
    errors = default + random.normal(0, 0.1, 100) ** 2
    bootstrap = partial(experiments.bootstrap_users, num_draws=2000)
    once = bootstrap(errors, default)
    users = np.repeat(np.arange(100), 10)
    copies = bootstrap(np.repeat(errors, 10), np.repeat(default, 10), users)
    alone = bootstrap(np.repeat(errors, 10), np.repeat(default, 10))
    assert copies == pytest.approx(once)
    assert alone.high - alone.low < 0.5 * (once.high - once.low)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [1.0]), "same length"),
        (([1.0, 2.0], [1.0, 2.0], [1, 2, 3]), "same length"),
        (([1.0, 2.0], [1.0, 2.0], [7, 7]), "at least two, got 1"),
        (([1.0, np.nan], [1.0, 2.0]), "at least 0"),
        (([1.0, 2.0], [1.0, -2.0]), "at least 0"),
    ],
)
def test_bootstrap_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        experiments.bootstrap_users(*arguments)
