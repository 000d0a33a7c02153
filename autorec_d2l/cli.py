"""``python -m autorec_d2l``: AutoRec on MovieLens-100K, and commands for ratings of your own."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import autorec_d2l as d2l
from autorec_d2l import custom
from autorec_d2l.custom.columns import KINDS
from autorec_d2l.custom.fitting import MEMBERS, NUM_EPOCHS
from autorec_d2l.custom.model import MIN_RATINGS
from autorec_d2l.custom.reader import read_table
from autorec_d2l.custom.report import format_comparison
from autorec_d2l.data.rating_scale import STARS
from autorec_d2l.recommend import recommend
from autorec_d2l.training.distributed import threads_for

NUM_TITLES = 10
MIN_RATINGS_ML100K = 20  # the prediction for a film with fewer is mostly noise
TABLES = """\
tables:
  CSV, TSV, semicolons or ::, compressed (.gz, .bz2, .xz, .zip) or not; parquet. Columns with usual
  names (userId, movieId, rating, timestamp and the like) are found; give others as --columns
  user=NAME item=NAME rating=NAME, or by position from 0; timestamp=False ignores the times. Without
  a header the order is user, item, rating, timestamp. Ids may be text or numbers.
"""


def main(arguments: list[str] | None = None) -> None:
    """Parse the options and run the command; errors end it with a message of one line."""
    options = _parser().parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):  # not every code page has every letter of a title
        sys.stdout.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _print_note
            options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output, such as head, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit("stopped by hand")
    except (OSError, ImportError, ValueError, FloatingPointError) as error:
        sys.exit(f"{error}")


def _print_note(message, *_, **__) -> None:
    print(f"Note: {message}", file=sys.stderr)


def _train_movielens(options: argparse.Namespace) -> None:
    """Train with d2l's settings, alone or in the processes of ``torchrun``; print two lists."""
    with d2l.process_group(options.device) as devices:
        logging.basicConfig(level="INFO", format="%(message)s")
        data, num_users, num_items = d2l.read_data_ml100k()
        if not 1 <= options.user <= num_users:  # before the training
            raise ValueError(f"--user must be 1 to {num_users}, got {options.user}")
        titles = d2l.read_items_ml100k().set_index("item_id")["title"].str.slice(stop=40)
        parts = d2l.split_data_ml100k(data, num_users, num_items, seed=options.seed)
        train_inter, test_inter = (
            d2l.load_data_ml100k(part, num_users, num_items)[3] for part in parts
        )  # (num_items, num_users)
        with threads_for(len(parts[0])):
            net = _train(train_inter, test_inter, options, devices)
        rated = parts[0][parts[0]["user_id"] == options.user]
        rated = rated.sort_values(["rating", "item_id"], ascending=[False, True])[:NUM_TITLES]
        best = recommend(net, train_inter, options.user, NUM_TITLES, MIN_RATINGS_ML100K)
        stars = best["stars"].clip(STARS.low, STARS.high)  # ranked as predicted
        left = [f"{row.rating:.0f}  {titles[row.item_id]}" for row in rated.itertuples()]
        right = [f"{s:.2f}  {titles[i]}" for i, s in zip(best["item_id"], stars, strict=True)]
        print(f"\n{f'User {options.user} rated highest (stars)':46}Recommended (predicted stars)")
        for pair in zip_longest(left, right, fillvalue=""):
            print("{:46}{}".format(*pair))


def _train(train_inter, test_inter, options, devices) -> d2l.AutoRec:
    """Return AutoRec trained with d2l's settings; exit if it was stopped before an epoch."""
    torch.manual_seed(options.seed)
    net = d2l.AutoRec(500, train_inter.shape[1])
    history = d2l.train_recsys_rating(
        net,
        d2l.load_array((train_inter,), 256, seed=options.seed, last_batch="rollover"),
        d2l.load_array((train_inter,), 1024, is_train=False),
        d2l.L2Loss(),
        torch.optim.Adam(net.parameters(), lr=0.002, weight_decay=1e-5),
        options.epochs,
        devices,
        inter_mat=test_inter,
        callbacks=[d2l.ProgressBar()],
    )
    if history.empty:
        sys.exit("No epoch was finished, so there is nothing to recommend.")
    last = history.iloc[-1]
    print(f"train RMSE {last['train_rmse']:.3f}, test RMSE {last['test_rmse']:.3f} stars")
    return net


def _fit(options: argparse.Namespace) -> None:
    if options.out.is_dir() or not options.out.resolve().parent.is_dir():  # before hours of work
        raise ValueError(f"--out must name a file in an existing folder, got {options.out}")
    named = _named_columns(options)
    ratings = custom.read_ratings(options.ratings, scale=options.scale, keep=options.keep, **named)
    model = custom.fit(
        ratings,
        members=options.members,
        num_epochs=options.epochs,
        test_ratio=options.test,
        by_time=options.by_time,
        seed=options.seed,
        checkpoint=options.checkpoint,
    )
    model.save(options.out)
    print(f"{options.out}: fitted to all {len(ratings.data):,} ratings")


def _recommend(options: argparse.Namespace) -> None:
    model = custom.load(options.model)
    wanted = {"n": options.n, "min_ratings": options.min_ratings}
    if options.all:
        _write(options.out, model.recommend_all(**wanted))
        return
    table = model.recommend(options.user, ratings=options.ratings, **wanted)
    if table.empty:
        print(
            f"No item with at least {options.min_ratings} ratings is left; --min-ratings lowers it"
        )
        return
    _show(model, table, options.items)


def _similar(options: argparse.Namespace) -> None:
    model = custom.load(options.model)
    table = model.similar(options.item, options.n, options.min_ratings)
    _show(model, table, options.items)


def _show(model: custom.Model, table: pd.DataFrame, path: Path | None) -> None:
    """Print items, each with its number, and with its title where there is a table of titles."""
    titles = {}
    if path:
        items = read_table(path, ("item", "title"))
        items.check_complete("title")
        indices = items.indices("item", model.items)
        pairs = zip(indices, items.columns["title"], strict=True)
        titles = {model.items.values[i]: title for i, title in pairs if i >= 0}
    name = table.columns[1]
    width = max([4, *table["item"].astype(str).str.len()])
    print(f"{name:>10}  {'item':{width}}  {'title' if titles else ''}".rstrip())
    for item, number in table.itertuples(index=False):
        line = f"{number:10.2f}  {item!s:{width}}  {titles.get(item, '')}".rstrip()
        # Data may hold characters that control a terminal.
        print("".join(letter if letter.isprintable() else "?" for letter in line))


def _predict(options: argparse.Namespace) -> None:
    model, named = custom.load(options.model), _named_columns(options)
    pairs = options.pairs
    if str(pairs) == "-":
        pairs = pd.read_csv(sys.stdin, dtype=str, keep_default_na=False)
    table = model.predict(pairs, **named)
    _write(options.out, [table])


def _write(out: Path | None, tables: Iterable[pd.DataFrame]) -> None:
    """Write tables as one CSV to a file, which is replaced when complete, or to the screen."""
    form: Any = {"index": False, "float_format": "%.6g", "lineterminator": "\n"}
    if out is None:
        for i, table in enumerate(tables):
            sys.stdout.write(table.to_csv(header=i == 0, **form))
        return
    part = out.with_name(f"{out.name}.part")
    try:
        with open(part, "w", encoding="utf-8", newline="\n") as file:
            total = 0
            for table in tables:
                table.to_csv(file, header=total == 0, **form)
                total += len(table)
        part.replace(out)  # the old file is complete until the new one is
    finally:
        part.unlink(missing_ok=True)
    print(f"{out}: {total:,} rows")


def _evaluate(options: argparse.Namespace) -> None:
    (*models, table), named = options.files, _named_columns(options)
    if len(models) != (options.cross_validate is None):
        raise ValueError("evaluate takes a model and a table, or --cross-validate K and a table")
    if models:
        print(format_comparison(custom.load(models[0]).evaluate(table, **named)))
        return
    parts = custom.cross_validate(custom.read_ratings(table, **named), options.cross_validate)
    print(parts[["num_ratings", "mean", "biases", "model"]].to_string(float_format="%.4g"))
    rmse = parts["model"]
    print(f"RMSE of the model: mean {rmse.mean():.4g}, standard deviation {rmse.std():.2g}")


def _named_columns(options: argparse.Namespace) -> dict[str, Any]:
    """Return the columns that ``--columns`` names, as in ``user=uid item=2 timestamp=False``."""
    named: dict[str, Any] = {}
    for word in options.columns:
        kind, _, name = word.partition("=")
        if kind not in KINDS or not name:
            raise ValueError(f"--columns takes {', '.join(KINDS)}, as user=NAME, got {word!r}")
        named[kind] = int(name) if name.isdecimal() else name != "False" and name
    return named


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m autorec_d2l",
        description="Without a command: train AutoRec on MovieLens-100K and recommend ten films.",
    )
    parser.set_defaults(run=_train_movielens)
    add = parser.add_argument
    add("--epochs", type=int, default=25, help="default: %(default)s")
    add("--seed", type=int, default=0, help="of split and weights; default: %(default)s")
    add("--user", type=int, default=1, help="user id, 1 to 943; default: %(default)s")
    add("--device", type=_device, help="cpu, cuda or cuda:1; default: all GPUs, or the CPU")
    commands = parser.add_subparsers(title="for your own ratings", metavar="command")

    form: Any = {"epilog": TABLES, "formatter_class": argparse.RawDescriptionHelpFormatter}

    def command(name: str, run: Callable, help: str) -> Callable:
        command = commands.add_parser(name, help=help, description=help, **form)
        command.set_defaults(run=run, columns=[])
        if run not in (_fit, _evaluate):
            command.add_argument("model", type=Path, help="a file that fit has written")
        if run not in (_recommend, _similar):
            command.add_argument("--columns", nargs="+", metavar="KIND=NAME", help="see below")
        return command.add_argument

    add = command("fit", _fit, "Fit a model to a table of ratings, and compare it to baselines.")
    add("ratings", type=Path, help="a table of users, items and ratings")
    add("--out", type=Path, required=True, metavar="MODEL", help="the file to write, as model.pt")
    add("--scale", nargs=2, type=float, metavar=("LOW", "HIGH"), help="default: of the table")
    add("--keep", choices=("first", "last"), help="which one, if a user rates an item again")
    add("--epochs", type=int, default=NUM_EPOCHS, help="of a network; default: %(default)s")
    add("--members", nargs="+", choices=MEMBERS, default=MEMBERS, help="default: all")
    add("--test", type=float, default=0.1, help="share to test on, or 0; default: %(default)s")
    add("--by-time", action="store_true", help="test on the latest ratings, not on random ones")
    add("--seed", type=int, default=0, help="of split and weights; default: %(default)s")
    add("--checkpoint", metavar="NAME", help="NAME.1 and NAME.2 let an interrupted fit continue")
    for name, run, help in (
        ("recommend", _recommend, "Recommend items to a user, to a new one, or to all."),
        ("similar", _similar, "List the items that are most similar to one."),
    ):
        add = command(name, run, help)
        if run is _similar:
            add("item", help="its id")
        else:
            add("--user", metavar="ID", help="a user of the ratings that were fitted, or")
            add("--ratings", type=Path, metavar="TABLE", help="items and ratings of a new user, or")
            add("--all", action="store_true", help="all users")
            add("--out", type=Path, metavar="CSV", help="a file for --all; default: the screen")
        add("-n", type=int, default=10, help="how many items; default: %(default)s")
        add("--items", type=Path, metavar="TABLE", help="items and their titles, to show them")
        add("--min-ratings", type=int, default=MIN_RATINGS, help="leave out items with fewer")
    add = command("predict", _predict, "Predict the ratings of pairs of a user and an item.")
    add("pairs", type=Path, help="a table of users and items; - for CSV from standard input")
    add("--out", type=Path, metavar="CSV", help="a file to write; default: the screen")
    add = command("evaluate", _evaluate, "Compare predictions to held-out ratings.")
    add("files", nargs="+", type=Path, metavar="FILE", help="a model and a table, or only a table")
    add("--cross-validate", type=int, metavar="K", help="fit and test on each of K parts instead")
    return parser


def _device(text: str) -> torch.device:
    """Return a device that works here, for argparse."""
    try:
        device = torch.device(text)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be used here: {error}") from error
    return device
