"""Fit many models on many splits under one protocol; finished rows can be cached."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from tqdm import tqdm

from autorec_d2l.experiments.autorec import fit_autorec, score
from autorec_d2l.experiments.results import Settings, as_json
from autorec_d2l.experiments.tuning import split_parts, tune_and_test


def run_sweep(
    ratings: tuple[pd.DataFrame, int, int],
    models: Mapping[str, Settings],
    trials: Sequence[Settings] = (),
    num_epochs: int = 30,
    splits: Iterable[int] = range(5),
    cache: Path | str | None = None,
) -> pd.DataFrame:
    """Fit every model on every random split; return one row per model and split.

    Args:
        ratings: What :func:`read_data_ml100k` returns.
        models: Maps a label to settings of :func:`fit_autorec`, or of another function given as
            ``fit``. A model may have ``trials`` of its own, as many as the others have.
        trials: Settings to choose from by :func:`tune`. Without any, a model is trained for
            ``num_epochs``.
        num_epochs: The most epochs that a trial can choose, unless it gives its own number.
        splits: Seeds of the random 90/10 splits.
        cache: A folder in which each finished row is stored at once; several processes may share
            it. Rows for the same data, split, settings and functions are taken from it. A function
            is identified by its own source: delete the folder after changing what it calls.

    Returns:
        ``model, split``; ``trials`` (how many), ``chosen`` (the trial, as JSON), ``epochs``;
        ``valid_rmse, train_rmse, test_rmse`` (stars, unclipped); ``parameters``; ``cpu_seconds``
        (of the last training, all cores together). Ctrl-C returns the finished rows.

    Raises:
        ValueError: Models with different numbers of trials.
        TypeError: A setting that JSON cannot hold, other than a function.

    Example:
        ``run_sweep(ratings, {"k=10": {"num_hidden": 10}}, [{"lr": 0.001}, {"lr": 0.01}])``
    """
    models = {label: {"trials": list(trials), **model} for label, model in models.items()}
    numbers = {label: len(model["trials"]) for label, model in models.items()}
    if len(set(numbers.values())) > 1:
        raise ValueError(f"every model needs the same number of trials, got {numbers}")
    run = joblib.Memory(cache, verbose=0).cache(_run, ignore=["ratings", "model"])
    rows_hash = joblib.hash(pd.util.hash_pandas_object(ratings[0], index=False).to_numpy())
    data = [*ratings[0], rows_hash, *map(int, ratings[1:])]
    keys = {
        label: json.dumps([data, model], default=_source)
        for label, model in models.items()
        if cache
    }
    todo = [(label, int(split)) for split in splits for label in models]
    rows = []
    with tqdm(todo, unit="model") as progress:
        try:
            for label, split in progress:
                progress.set_postfix_str(f"split {split}: {label}")
                row = run(ratings, models[label], int(num_epochs), split, keys.get(label))
                rows.append({"model": label, "split": split, **row})
        except KeyboardInterrupt:
            print(f"stopped by hand after {len(rows)} of {len(todo)} models")
    return pd.DataFrame(rows)


def _run(ratings, model, num_epochs, split, key) -> dict[str, Any]:
    """Tune and test a model on a split; return its row. ``key`` is for the cache only."""
    settings = {"fit": fit_autorec, **model}
    parts = split_parts(ratings, "random", split)
    outcome = tune_and_test(parts=parts, num_epochs=num_epochs, seed=split, **settings)
    return {
        "trials": len(model["trials"]),
        "chosen": as_json(outcome.choice.trial),
        "epochs": outcome.choice.num_epochs,
        "valid_rmse": outcome.choice.valid_rmse,
        "train_rmse": score(outcome.model.predict(parts.train_data), parts.train_data)["rmse"],
        "test_rmse": outcome.test_rmse,
        "parameters": outcome.model.num_parameters,
        "cpu_seconds": outcome.cpu_seconds,
    }


def _source(value: Any) -> Any:
    """Return what represents a value in a key: the source of a function, not only its name."""
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    return inspect.getsource(value) if callable(value) else as_json(value)
