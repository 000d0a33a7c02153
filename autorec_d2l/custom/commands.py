"""The commands for your own ratings: they parse, call and print."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from autorec_d2l.custom.columns import KINDS
from autorec_d2l.custom.fitting import fit
from autorec_d2l.custom.model import MIN_RATINGS, Model, load
from autorec_d2l.custom.ratings import read_ratings
from autorec_d2l.custom.reader import read_table
from autorec_d2l.custom.report import verdict

TABLES = """\
tables:
  CSV, TSV, semicolons or :: between the fields, compressed by gzip, bzip2 or xz, or parquet; with a
  header or without. Columns with usual names (userId, movieId, rating, timestamp and the like) are
  found; others are named by --columns user=NAME item=NAME rating=NAME, or by their places from 0.
  Without a header the order is user, item, rating, timestamp. Ids may be words or numbers.
"""
VALID = "the share to choose the epochs by; 0: run --epochs, judge nothing (default: 0.1)"
FEW = f"leave out items with fewer (default: {MIN_RATINGS})"
COLUMNS = {"nargs": "+", "default": [], "metavar": "KIND=NAME", "help": "see below"}


def dispatch(options: argparse.Namespace) -> None:
    """Run the command that :func:`parser` has read.

    Raises ``OSError``, ``ImportError``, ``ValueError`` and ``FloatingPointError`` with a message
    for the reader.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _show
        options.run(options)


def _show(message, *_, **__) -> None:
    print(f"Note: {message}", file=sys.stderr)


def _fit(options: argparse.Namespace) -> None:
    folder = options.out.resolve().parent
    if options.out.is_dir() or not folder.is_dir():  # said before hours of training, not after
        raise ValueError(f"--out must name a file in a folder that is there, got {options.out}")
    ratings = read_ratings(
        options.ratings, scale=options.scale, keep=options.keep, **_columns(options)
    )
    model = fit(
        ratings,
        num_epochs=options.epochs,
        patience=options.patience,
        valid_ratio=options.valid,
        seed=options.seed,
        checkpoint=options.checkpoint,
    )
    model.save(options.out)
    epochs = model.settings["num_epochs"]
    print(f"{options.out}: fitted to all {len(ratings.data):,} ratings in {epochs} epochs")


def _recommend(options: argparse.Namespace) -> None:
    model = load(options.model)
    table = model.recommend(
        options.user, ratings=options.ratings, n=options.n, min_ratings=options.min_ratings
    )
    if table.empty:
        print(
            f"Nothing is left to recommend with at least {options.min_ratings} ratings; "
            "--min-ratings 0 asks for less"
        )
        return
    table["title"] = _titles(model, options.items).reindex(table["item"]).fillna("").to_numpy()
    width = max(len("item"), table["item"].astype(str).str.len().max())
    print(f"{'predicted':>9}  {'item':{width}}  {'title' if options.items else ''}".rstrip())
    for row in table.itertuples():
        print(_printable(f"{row.prediction:9.2f}  {row.item!s:{width}}  {row.title}").rstrip())


def _titles(model: Model, path: Path | None) -> pd.Series:
    """Return titles by the model's own ids; none without a table of items."""
    if path is None:
        return pd.Series(dtype=object)
    table = read_table(path, ("item", "title"), ("item", "title"))
    table.require("title")
    places = table.places("item", model.items)
    titles = pd.Series(table.words["title"][table.codes["title"]], index=places)[places >= 0]
    titles = titles[~titles.index.duplicated()]
    return titles.set_axis(model.items.values[titles.index])


def _printable(text: str) -> str:
    """Return text from data without letters that a terminal obeys."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _predict(options: argparse.Namespace) -> None:
    table, out = load(options.model).predict(options.pairs, **_columns(options)), options.out
    form = {"index": False, "float_format": "%.6g", "lineterminator": "\n"}
    if out is None:
        table.to_csv(sys.stdout, **form)
        return
    part = out.with_name(f"{out.name}.part")
    try:
        table.to_csv(part, **form)
        part.replace(out)  # the old file is whole until the new one is
    finally:
        part.unlink(missing_ok=True)
    print(f"{out}: {len(table):,} predictions")


def _evaluate(options: argparse.Namespace) -> None:
    print(verdict(load(options.model).evaluate(options.test, **_columns(options))))


def _columns(options: argparse.Namespace) -> dict[str, Any]:
    """Return the reader's words for columns, ``user=uid item=2``."""
    named = {}
    for word in options.columns:
        kind, _, name = word.partition("=")
        if kind not in KINDS or not name:
            raise ValueError(f"--columns takes {', '.join(KINDS)}, as user=NAME, got {word!r}")
        named[kind] = int(name) if name.isdecimal() else name
    return named


def parser() -> argparse.ArgumentParser:
    """Return what reads the options of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m autorec_d2l", description="AutoRec for your own ratings."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, (run, text, add) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text,
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=TABLES,
        )
        command.set_defaults(run=run)
        add(command.add_argument)
    return parser


def _add_fit(add) -> None:
    add("ratings", type=Path, help="a table of users, items and ratings")
    add("--out", type=Path, required=True, metavar="MODEL", help="the file to write, as model.pt")
    add("--scale", nargs=2, type=float, metavar=("LOW", "HIGH"), help="if not those of the table")
    add("--keep", choices=("first", "last"), help="which one, if a user rates an item again")
    add("--epochs", type=int, default=200, help="the most epochs (default: 200)")
    add("--patience", type=int, default=5, help="stop after so many worse epochs (default: 5)")
    add("--valid", type=float, default=0.1, help=VALID)
    add("--seed", type=int, default=0, help="of the split and the weights (default: 0)")
    add("--checkpoint", metavar="NAME", help="NAME.1 and NAME.2 let the command go on if stopped")
    add("--columns", **COLUMNS)


def _add_recommend(add) -> None:
    add("model", type=Path, help="a file that fit has written")
    add("--user", metavar="ID", help="a user of the ratings that were fitted, or")
    add("--ratings", type=Path, metavar="TABLE", help="items and ratings of somebody new")
    add("-n", type=int, default=10, help="how many items (default: 10)")
    add("--items", type=Path, metavar="TABLE", help="items and their titles, to show them")
    add("--min-ratings", type=int, default=MIN_RATINGS, help=FEW)


def _add_predict(add) -> None:
    add("model", type=Path, help="a file that fit has written")
    add("pairs", type=Path, help="a table of users and items")
    add("--out", type=Path, metavar="CSV", help="a file to write, in place of the screen")
    add("--columns", **COLUMNS)


def _add_evaluate(add) -> None:
    add("model", type=Path, help="a file that fit has written")
    add("test", type=Path, help="a table of ratings that the model has not seen")
    add("--columns", **COLUMNS)


COMMANDS = {
    "fit": (_fit, "Fit a model to a table of ratings, and say what it is worth.", _add_fit),
    "recommend": (_recommend, "Recommend items to a user, or to somebody new.", _add_recommend),
    "predict": (_predict, "Predict the ratings of pairs of a user and an item.", _add_predict),
    "evaluate": (_evaluate, "Compare predictions with ratings not seen before.", _add_evaluate),
}
