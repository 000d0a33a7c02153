"""Computed values against results files, and choices at the boundary of their trials."""

import functools

import numpy as np
import pandas as pd
import pytest

from autorec_d2l import experiments
from autorec_d2l.experiments.results import as_json, plain

FILE = pd.DataFrame(
    {
        "model": ["a", "a", "b", "b"],
        "split": [0, 1, 0, 1],
        "test_rmse": [0.9, 0.91, 0.8, 0.81],
        "chosen": ['{"lr": 0.1}', '{"lr": 0.1}', '{"lr": 0.3}', '{"lr": 0.2}'],
        "epochs": [20, 7, 20, 20],
    }
)


def test_read_results_gives_a_table_without_its_provenance():
    table = experiments.read_results("exercise_width.csv")
    assert table.columns[0] == "sweep"
    with pytest.raises(FileNotFoundError):
        experiments.read_results("no_such.csv")


def test_agree_looks_rows_up_and_allows_the_tolerance():
    computed = FILE[FILE["split"] == 1].assign(test_rmse=[0.912, 0.807])
    table = experiments.agree(computed, FILE, 0.004)
    assert table["gap"].tolist() == pytest.approx([0.002, 0.003])
    assert table["test_rmse_file"].tolist() == [0.91, 0.81]


def test_agree_names_the_row_that_is_apart():
    computed = FILE[FILE["split"] == 1].assign(test_rmse=[0.912, 0.807])
    with pytest.raises(AssertionError, match=r"further apart(.|\n)*b *1 *0\.807 *0\.81"):
        experiments.agree(computed, FILE, 0.0025)


def test_nan_agrees_with_nothing():
    with pytest.raises(AssertionError, match="further apart"):
        experiments.agree(FILE.assign(test_rmse=np.nan), FILE, 1.0)


@pytest.mark.parametrize(
    "file", [FILE[:3], pd.concat([FILE, FILE[:1]]), FILE.assign(model="c")], ids=len
)
def test_agree_needs_each_row_once(file):
    with pytest.raises(ValueError, match="the file needs each computed row once"):
        experiments.agree(FILE, file, 1.0)
    with pytest.raises(ValueError, match="the file needs each computed row once"):
        experiments.agree(FILE[:0], file, 1.0)


def test_choices_at_the_lowest_and_the_highest_value_are_counted():
    trials = [{"lr": lr, "init": "mean"} for lr in (0.1, 0.2, 0.3)]
    file = FILE.assign(chosen=FILE["chosen"].str.replace("}", ', "init": "mean"}'))
    table = experiments.boundary_choices(file, {"a": trials, "b": trials}, num_epochs=20)
    by = table.set_index(["model", "setting"])
    assert by.loc[("a", "lr"), ["lowest", "highest"]].tolist() == [0.1, 0.3]
    assert by.loc[("a", "lr"), ["at_lowest", "at_highest", "splits"]].tolist() == [2, 0, 2]
    assert by.loc[("b", "lr"), ["at_lowest", "at_highest", "splits"]].tolist() == [0, 1, 2]
    assert by["flag"].to_dict() == {
        ("a", "lr"): True,
        ("a", "epochs"): False,
        ("b", "lr"): False,
        ("b", "epochs"): True,
    }
    assert by.loc[("a", "epochs"), "at_highest"] == 1
    assert "init" not in by.index.get_level_values("setting")  # only numbers have a boundary


def test_a_choice_that_was_not_offered_is_refused():
    with pytest.raises(ValueError, match="'a' chose a trial that its list does not offer"):
        experiments.boundary_choices(FILE[:2], {"a": [{"lr": 0.5}, {"lr": 0.6}]})


def test_settings_become_json():
    settings = {"n": np.int64(3), "x": np.float64(0.5), "list": (1, np.int32(2)), "a": np.arange(2)}
    assert as_json(settings) == '{"n": 3, "x": 0.5, "list": [1, 2], "a": [0, 1]}'
    functions = {"f": experiments.holm, "g": functools.partial(experiments.holm, level=0.1)}
    assert as_json(functions) == '{"f": "holm", "g": "holm"}'
    assert plain(settings) == {"n": 3, "x": 0.5, "list": [1, 2], "a": [0, 1]}
    with pytest.raises(TypeError, match="settings must be text, numbers, lists or functions, got"):
        plain({"data": {1, 2}})
