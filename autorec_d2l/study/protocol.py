"""How a comparison is made in this book: tuned on a validation part, tested once, paired by split.

A model is a function that fits it, such as :func:`fit_autorec`, and settings to call it with. On
each random 90/10 split every model gets the same number of *trials* (learning rate,
initialisation, ...). A trial trains on nine tenths of the training part, and each of its epochs is
judged on the last tenth; the best trial and epoch are trained again on the whole training part,
and only then are the test ratings read, once.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from tqdm import tqdm

from autorec_d2l.data import split_data_ml100k
from autorec_d2l.evaluation import masked_rmse
from autorec_d2l.study.fits import Fit, fit_autorec

Settings = Mapping[str, Any]
# Student's t, 97.5 %, by degrees of freedom: a mean over n splits has n - 1.
_T = dict(enumerate((12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262), start=1))


class Choice(NamedTuple):
    """What tuning chose: a trial, its number of epochs, and its validation RMSE in stars."""

    trial: Settings
    num_epochs: int
    valid_rmse: float


def tune(
    fit: Callable[..., Fit],
    train_data: pd.DataFrame,
    sizes: tuple[int, int],
    trials: Sequence[Settings],
    num_epochs: int,
    split: int,
    **settings: Any,
) -> Choice:
    """Return the trial and the epoch with the lowest RMSE on a validation tenth of the training.

    ``sizes`` is ``(num_users, num_items)``. A trial whose loss does not stay finite loses.
    Raises ``FloatingPointError`` if none stays finite.
    """
    parts = split_data_ml100k(train_data, *sizes, "random", 0.1, seed=1000 + split)
    best = Choice({}, 0, float("inf"))
    for trial in trials:
        try:
            history = fit(*parts, sizes, num_epochs, split, **settings, **trial).history
        except FloatingPointError:
            continue
        rmse, epoch = history["test_rmse"].min(), history["test_rmse"].idxmin()
        if rmse < best.valid_rmse:
            best = Choice(trial, int(epoch), float(rmse))
    if best.num_epochs == 0:
        raise FloatingPointError(f"no trial of {settings} stays finite: lower the learning rates")
    return best


def run_sweep(
    ratings: tuple[pd.DataFrame, int, int],
    models: Mapping[str, Settings],
    trials: Sequence[Settings] = (),
    num_epochs: int = 30,
    splits: Iterable[int] = range(5),
    keep: Path | str | None = None,
) -> pd.DataFrame:
    """Fit every model on every random split; return one row a model and split.

    ``ratings`` is what :func:`read_data_ml100k` returns. ``models`` maps a label to the settings
    of :func:`fit_autorec`, or of another function given as ``fit``. Trial and epoch, at most
    ``num_epochs``, are chosen by :func:`tune`; a model may bring its own ``trials``, as many.
    With one trial or none there is nothing to choose: the model is trained for ``num_epochs``.

    Columns: ``model, split``; ``trials`` (how many), ``chosen`` (the trial, as JSON), ``epochs``;
    ``valid_rmse, train_rmse, test_rmse`` (stars, unclipped); ``parameters``; ``cpu_seconds`` (of
    the last training, all cores together). ``keep`` names a CSV file to which each finished row
    is written, and from which rows with the same settings are taken (a function counts by its
    name: delete the file after changing one). Ctrl-C returns the rows that are finished.

    Raises ``ValueError`` if a model's number of trials differs from the others'.
    """
    settings = {label: {"trials": trials, **model} for label, model in models.items()}
    numbers = {label: len(model["trials"]) for label, model in settings.items()}
    if len(set(numbers.values())) > 1:
        raise ValueError(f"every model needs the same number of trials, got {numbers}")
    todo = [(label, split) for split in splits for label in models]
    kept = _read_kept(keep)
    rows = []
    with tqdm(todo, unit="model") as progress:
        try:
            for label, split in progress:
                progress.set_postfix_str(f"split {split}: {label}")
                key = _key(label, split, num_epochs, settings[label])
                if key not in kept:
                    row = _fit_and_test(ratings, split, num_epochs, **settings[label])
                    kept[key] = {"model": label, "split": split, **row}
                    if keep:
                        _write_kept(kept, Path(keep))
                rows.append(kept[key])
        except KeyboardInterrupt:
            print(f"stopped by hand after {len(rows)} of {len(todo)} models")
    return pd.DataFrame(rows)


def _fit_and_test(ratings, split, num_epochs, trials, fit=fit_autorec, **settings) -> dict:
    """Tune one model on one split, train it on the whole training part, read the test once."""
    data, *sizes = ratings
    train_data, test_data = split_data_ml100k(data, *sizes, "random", 0.1, seed=split)
    choice = Choice(trials[0] if trials else {}, num_epochs, math.nan)
    if len(trials) > 1:
        choice = tune(fit, train_data, sizes, trials, num_epochs, split, **settings)
    start = time.process_time()
    model = fit(train_data, None, sizes, choice.num_epochs, split, **settings, **choice.trial)
    cpu_seconds = time.process_time() - start
    train_rmse, test_rmse = (
        masked_rmse([(model.predict(part), torch.tensor(part["rating"].to_numpy()))])
        for part in (train_data, test_data)
    )
    return {
        "trials": len(trials),
        "chosen": json.dumps(choice.trial, default=_name),
        "epochs": choice.num_epochs,
        "valid_rmse": choice.valid_rmse,
        "train_rmse": train_rmse,
        "test_rmse": test_rmse,
        "parameters": model.num_parameters,
        "cpu_seconds": cpu_seconds,
    }


def compare(table: pd.DataFrame, default: str) -> pd.DataFrame:
    """Compare each model of a sweep with the ``default`` one, split by split.

    Returns a row a model, in the order of ``table``: ``test_rmse`` and its ``std`` over splits;
    ``difference``, the mean of (model minus default) in stars, negative where the model is better;
    ``low`` and ``high``, the ends of its 95 % interval; and ``better_on``, the number of splits on
    which the model is better.

    Raises ``ValueError`` as :func:`paired_interval` does, and where a split is missing.
    """
    rmse = table.pivot(index="split", columns="model", values="test_rmse")
    rmse = rmse[table["model"].unique()]  # (splits, models)
    if rmse.isna().any(axis=None):
        raise ValueError(f"every model is needed on every split, got\n{rmse}")
    difference = rmse.sub(rmse[default], axis=0)
    mean, half_width = paired_interval(difference)
    return pd.DataFrame(
        {
            "test_rmse": rmse.mean(),
            "std": rmse.std(),
            "difference": mean,
            "low": mean - half_width,
            "high": mean + half_width,
            "better_on": (difference < 0).sum(),
        }
    )


def paired_interval(differences: pd.Series | pd.DataFrame) -> tuple[Any, Any]:
    """Return the mean of differences by split, and half the width of its 95 % interval.

    ``differences`` is a series, ``(splits,)``, or a table, ``(splits, models)``. The interval is
    Student's t, for 2 to 10 splits; the splits overlap in their training ratings, so that it is
    somewhat too narrow for data that are new altogether.

    Raises ``ValueError`` for fewer or more splits.
    """
    if len(differences) - 1 not in _T:
        raise ValueError(f"an interval needs 2 to 10 splits, got {len(differences)}")
    half_width = _T[len(differences) - 1] * differences.std() / len(differences) ** 0.5
    return differences.mean(), half_width


def _key(label: str, split: int, num_epochs: int, settings: Settings) -> str:
    """Return a text that is the same only for the same model, trials, epochs and split."""
    return json.dumps([label, split, num_epochs, settings], sort_keys=True, default=_name)


def _name(value: Any) -> str:
    """Let a function stand in a results file by its name."""
    return value.__name__


def _write_kept(kept: dict[str, dict], keep: Path) -> None:
    """Write the finished rows; the file is replaced only by a whole one."""
    new = keep.with_name(keep.name + ".new")
    pd.DataFrame(kept.values()).assign(key=list(kept)).to_csv(new, index=False)
    os.replace(new, keep)


def _read_kept(keep: Path | str | None) -> dict[str, dict]:
    """Return the finished rows of a file by their keys; nothing if there is no file yet."""
    if keep is None or not Path(keep).exists():
        return {}
    table = pd.read_csv(keep).set_index("key")
    return table.to_dict("index")
