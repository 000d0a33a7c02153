"""Many models on many splits, one protocol; finished rows can be kept in a file."""

from __future__ import annotations

import hashlib
import inspect
import json
import marshal
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from autorec_d2l.data.rating_scale import RatingScale
from autorec_d2l.experiments.autorec import fit_autorec, score
from autorec_d2l.experiments.results import Settings, as_json, name_of, plain
from autorec_d2l.experiments.tuning import split_parts, tune_and_test


def run_sweep(
    ratings: tuple[pd.DataFrame, int, int],
    models: Mapping[str, Settings],
    trials: Sequence[Settings] = (),
    num_epochs: int = 30,
    splits: Iterable[int] = range(5),
    cache: Path | str | None = None,
) -> pd.DataFrame:
    """Fit every model on every random split; return one row a model and split.

    Args:
        ratings: What :func:`read_data_ml100k` returns.
        models: A label, and settings of :func:`fit_autorec` or of another function given as
            ``fit``. A model may bring its own ``trials``, as many as the others have.
        trials: Settings to choose from by :func:`tune`. Without any, a model is trained for
            ``num_epochs``.
        num_epochs: The most epochs that a trial can choose, unless it names its own number.
        splits: Seeds of the random 90/10 splits.
        cache: A CSV file to which each finished row is written at once. Rows for the same data,
            settings, trials and functions are taken from it. A function counts by its own source;
            delete the file after changing something that it calls.

    Returns:
        ``model, split``; ``trials`` (how many), ``chosen`` (the trial, as JSON), ``epochs``;
        ``valid_rmse, train_rmse, test_rmse`` (stars, unclipped); ``parameters``; ``cpu_seconds``
        (of the last training, all cores together). Ctrl-C returns the rows that are finished.

    Raises:
        ValueError: Numbers of trials differ, or ``cache`` is another kind of file.
        TypeError: A setting that is no word, number, list or function.

    Example:
        ``run_sweep(ratings, {"k=10": {"num_hidden": 10}}, [{"lr": 0.001}, {"lr": 0.01}])``
    """
    settings = {label: plain({"trials": list(trials), **model}) for label, model in models.items()}
    numbers = {label: len(model["trials"]) for label, model in settings.items()}
    if len(set(numbers.values())) > 1:
        raise ValueError(f"every model needs the same number of trials, got {numbers}")
    num_epochs, kept = int(num_epochs), _read_kept(cache)
    todo = [(label, int(split)) for split in splits for label in models]
    print_of_data = _fingerprint(ratings) if cache else ""
    rows = []
    with tqdm(todo, unit="model") as progress:
        try:
            for label, split in progress:
                progress.set_postfix_str(f"split {split}: {label}")
                key = _key([print_of_data, label, split, num_epochs, settings[label]])
                if key not in kept:
                    row = _run(
                        split_parts(ratings, "random", split),
                        split,
                        **settings[label],
                        num_epochs=num_epochs,
                    )
                    kept[key] = {"model": label, "split": split, **row}
                    if cache:
                        _write_kept(kept, Path(cache))
                rows.append(kept[key])
        except KeyboardInterrupt:
            print(f"stopped by hand after {len(rows)} of {len(todo)} models")
    return pd.DataFrame(rows)


def _run(parts, seed, trials, num_epochs, fit=fit_autorec, **settings) -> dict[str, Any]:
    """Return what the protocol says about a model on a split, as a row."""
    outcome = tune_and_test(fit, trials, parts, num_epochs, seed, **settings)
    return {
        "trials": len(trials),
        "chosen": as_json(outcome.choice.trial),
        "epochs": outcome.choice.num_epochs,
        "valid_rmse": outcome.choice.valid_rmse,
        "train_rmse": score(outcome.model.predict(parts.train_data), parts.train_data)["rmse"],
        "test_rmse": outcome.test_rmse,
        "parameters": outcome.model.num_parameters,
        "cpu_seconds": outcome.cpu_seconds,
    }


def _key(what: Any) -> str:
    """Return a text that is the same only for the same data, model, trials, epochs and split."""
    return json.dumps(what, sort_keys=True, default=_source)


def _source(function: Callable) -> Any:
    """Return the name of a function, and a hash of its source or else of its compiled code."""
    if isinstance(function, RatingScale):
        return str(function)
    if isinstance(function, partial):
        return [_source(function.func), plain(function.args), plain(function.keywords)]
    kind = function if inspect.isroutine(function) else type(function)  # an object by its class
    try:
        text = inspect.getsource(kind).encode()
    except (OSError, TypeError):  # typed in by hand, or compiled
        code = getattr(kind, "__code__", None)
        text = marshal.dumps(code) if code else repr(kind).encode()
    return f"{name_of(function)} {hashlib.sha256(text).hexdigest()[:16]}"


def _fingerprint(ratings: tuple[pd.DataFrame, int, int]) -> str:
    """Return a hash of a table of ratings in its order, and of its sizes."""
    data, *sizes = ratings
    rows = pd.util.hash_pandas_object(data.astype("str"), index=False).to_numpy()
    return hashlib.sha256(rows.tobytes() + repr([*map(int, sizes)]).encode()).hexdigest()[:16]


def _write_kept(kept: dict[str, dict], cache: Path) -> None:
    """Write the finished rows; the file is replaced only by a whole one."""
    new = cache.with_name(cache.name + ".new")
    pd.DataFrame(kept.values()).assign(key=list(kept)).to_csv(new, index=False)
    os.replace(new, cache)


def _read_kept(cache: Path | str | None) -> dict[str, dict]:
    """Return the finished rows of a file by their keys; nothing if there is no file yet."""
    if cache is None or not Path(cache).exists():
        return {}
    try:
        return pd.read_csv(cache).set_index("key").to_dict("index")
    except (KeyError, ValueError) as error:  # no column of that name, no table, no text
        raise ValueError(
            f"{cache} holds no finished rows of run_sweep: name another file, or delete it"
        ) from error
