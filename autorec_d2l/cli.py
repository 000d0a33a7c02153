"""``python -m autorec_d2l``: train AutoRec on MovieLens-100K and recommend ten films."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from itertools import zip_longest

import torch

import autorec_d2l as d2l
from autorec_d2l.custom import commands
from autorec_d2l.data.rating_scale import STARS
from autorec_d2l.recommend import recommend, top_k
from autorec_d2l.training.distributed import threads_for

NUM_TITLES = 10
MIN_RATINGS = 20  # the prediction for a film with fewer is mostly noise


def main(arguments: list[str] | None = None) -> None:
    """Read the options and run, alone or as one of the processes that ``torchrun`` started."""
    arguments = sys.argv[1:] if arguments is None else arguments
    is_own = bool(arguments) and arguments[0] in commands.COMMANDS
    options = (commands.parser() if is_own else _parser()).parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):  # not every code page has every letter of a title
        sys.stdout.reconfigure(errors="replace")
    log = logging.StreamHandler()
    log.addFilter(_Once())
    try:
        if is_own:
            commands.dispatch(options)
        else:
            with d2l.process_group(options.device) as devices:
                logging.basicConfig(level="INFO", format="%(message)s", handlers=[log])
                run(options, devices)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit("stopped by hand")
    except (OSError, ImportError, ValueError, FloatingPointError) as error:
        sys.exit(f"{error}")


class _Once(logging.Filter):
    """Let a message through the first time: ratings and titles come from one source."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the message is new."""
        is_new = record.getMessage() not in self.seen
        self.seen.add(record.getMessage())
        return is_new


def run(options: argparse.Namespace, devices: list[torch.device]) -> None:
    """Train with d2l's settings, print the test RMSE and the two lists."""
    data, num_users, num_items = d2l.read_data_ml100k()
    titles = d2l.read_items_ml100k()["title"].str.slice(stop=40)
    parts = d2l.split_data_ml100k(data, num_users, num_items, seed=options.seed)
    train_inter, test_inter = (
        d2l.load_data_ml100k(part, num_users, num_items)[3] for part in parts
    )  # (num_items, num_users)
    with threads_for(len(parts[0])):
        net = train(train_inter, test_inter, options, devices)
    own = train_inter[:, options.user - 1]  # (num_items,)
    liked = top_k(own, own > 0, NUM_TITLES, "stars")
    advice = recommend(net, train_inter, options.user, NUM_TITLES, MIN_RATINGS)
    advice["stars"] = advice["stars"].clip(STARS.low, STARS.high)  # ranked as predicted
    columns = [
        [
            f"{stars:{form}}  {titles[item_id - 1]}"
            for item_id, stars in table.itertuples(index=False)
        ]
        for table, form in ((liked, ".0f"), (advice, ".2f"))
    ]
    print(f"\n{f'User {options.user} rated highest (stars)':46}Recommended (predicted stars)")
    for left, right in zip_longest(*columns, fillvalue=""):
        print(f"{left:46}{right}")


def train(
    train_inter: torch.Tensor,
    test_inter: torch.Tensor,
    options: argparse.Namespace,
    devices: list[torch.device],
) -> d2l.AutoRec:
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
    )
    if history.empty:
        sys.exit("No epoch was finished, so there is nothing to recommend.")
    return net


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m autorec_d2l",
        description="Train AutoRec on MovieLens-100K and recommend ten films to one user.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog="For your own ratings: fit, recommend, predict, evaluate; see fit --help.",
    )
    parser.add_argument("--epochs", type=_whole(1, 10_000), default=25, help="training epochs")
    parser.add_argument("--seed", type=_whole(0, 2**32 - 1), default=0, help="split and weights")
    parser.add_argument("--user", type=_whole(1, 943), default=1, help="user id, 1 to 943")
    parser.add_argument(
        "--device", type=_device, help="cpu, cuda or cuda:1; all GPUs, or the CPU, if not given"
    )
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from ``low`` to ``high`` for argparse."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"must be a whole number {low} to {high}, got {text}")
        return int(text)

    return parse


def _device(text: str) -> torch.device:
    """Return a device that is there, for argparse."""
    try:
        device = torch.device(text)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be used here: {error}") from error
    return device
