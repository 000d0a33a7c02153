"""A fitted model: it predicts, recommends and judges in the reader's own ids and units."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from autorec_d2l.custom.ids import Ids
from autorec_d2l.custom.reader import Table, read_table
from autorec_d2l.custom.report import Baseline, baselines, judge
from autorec_d2l.data.rating_scale import ANY_STARS, RatingScale
from autorec_d2l.evaluation import evaluating
from autorec_d2l.recommend import fold_in
from autorec_d2l.sparse import RatingMatrix, SparseAutoRec
from autorec_d2l.sparse.pattern import repeat_rows
from autorec_d2l.training.checkpoints import read_state, write_state

ROWS = 1024  # users that are predicted together
VERSION = 1
MIN_RATINGS = 5  # the prediction for an item with fewer is mostly noise


@dataclass(eq=False)
class Model:
    """A network with all that it needs to answer; :func:`fit` and :func:`load` make one.

    Args:
        net: User-based, with column means.
        matrix: The ratings it was fitted to, in stars inside, ``(num_users, num_items)``: what a
            user rated is the network's input.
        users, items: The reader's own ids, in the order of the rows and the columns.
        scale: Of the reader's ratings.
        settings: How it was fitted.
        report: What it is worth, see :func:`fit`.
    """

    net: SparseAutoRec
    matrix: RatingMatrix
    users: Ids
    items: Ids
    scale: RatingScale
    settings: dict
    report: dict

    def save(self, path: str | os.PathLike) -> None:
        """Write the model to a file, see :func:`write_model`."""
        write_model(self, path)

    def predict(self, pairs: str | os.PathLike | pd.DataFrame, **form) -> pd.DataFrame:
        """Return a column ``prediction`` beside ``user`` and ``item`` for each row of a table.

        ``pairs`` is a file or a DataFrame with users and items, as in :func:`read_ratings`, whose
        words for columns ``form`` takes. Of a user or an item that the model has not seen the
        prediction is what is known of the other one, or of all; a ``UserWarning`` says how many.
        """
        table = read_table(pairs, ("user", "item"), ("user", "item"), **form)
        users, items = self._places(table)
        columns = {kind: table.words[kind].take(table.codes[kind]) for kind in ("user", "item")}
        return pd.DataFrame(columns | {"prediction": self._predict(users, items)})

    def recommend(
        self,
        user: object = None,
        *,
        ratings: Mapping[object, float] | str | os.PathLike | pd.DataFrame | None = None,
        n: int = 10,
        min_ratings: int = MIN_RATINGS,
    ) -> pd.DataFrame:
        """Return the ``n`` best items that somebody has not rated: ``item, prediction``.

        Somebody is a ``user`` of the ratings that the model was fitted to, or whoever has given
        ``ratings``: by item in a dictionary, or in a table of items and ratings. An item needs
        ``min_ratings``. Fewer than ``n`` rows come back where fewer items are left.

        Raises ``ValueError`` for an unknown user, and a rating off the scale. Items that the model
        has not seen are left out, and a ``UserWarning`` says so.
        """
        if (user is None) == (ratings is None):
            raise ValueError("name a user, or give the ratings of somebody new")
        if ratings is None:
            [place] = self.users.places([user])
            if place < 0:
                raise ValueError(
                    f"the model knows {len(self.users):,} users, and {user!r} is none of them; "
                    "for somebody new give ratings"
                )
            row, _ = self.matrix[[int(place)]]
            places, stars = row.col_indices().numpy(), row.values().numpy()
        else:
            places, stars = self._rated(ratings)
        given = {int(place) + 1: float(star) for place, star in zip(places, stars, strict=True)}
        counts = self.matrix.col.bincount(minlength=len(self.items))
        best = fold_in(self.net, given, n, counts, min_ratings, ANY_STARS)
        return pd.DataFrame(
            {
                "item": self.items.values[best["item_id"].to_numpy() - 1],
                "prediction": self._outward(best["stars"].to_numpy()),
            }
        )

    def evaluate(self, test: str | os.PathLike | pd.DataFrame, **form) -> dict[str, float]:
        """Return what :meth:`compare` says of the ratings of a table, which the model has not seen.

        ``form`` takes the words of :func:`read_ratings` for columns.
        """
        kinds = ("user", "item", "rating")
        table = read_table(test, kinds, kinds, **form)
        return self.compare(*self._places(table), table.numbers("rating"))

    def compare(
        self, users: np.ndarray, items: np.ndarray, ratings: np.ndarray
    ) -> dict[str, float]:
        """Return :func:`autorec_d2l.custom.report.judge` for ratings on the reader's scale.

        ``users`` and ``items`` are places from 0, -1 for an unknown one.
        """
        others = {name: self._outward(ask(users, items)) for name, ask in self._baselines.items()}
        return judge(ratings, self._predict(users, items), **others)

    def _predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return predictions on the reader's scale for places, -1 for an unknown one."""
        is_known = (users >= 0) & (items >= 0)
        stars = np.empty(len(users), dtype="float32")
        if not is_known.all():
            stars[~is_known] = self._baselines["biases"](users[~is_known], items[~is_known])
        asked, row = np.unique(users[is_known], return_inverse=True)
        order = row.argsort(kind="stable")  # users that are predicted together side by side
        edges = row[order].searchsorted(range(0, len(asked) + ROWS, ROWS))
        for start, low, high in zip(range(0, len(asked), ROWS), edges, edges[1:], strict=False):
            here = is_known.nonzero()[0][order[low:high]]
            block = asked[start : start + ROWS]
            stars[here] = self._predict_rows(block, row[order[low:high]] - start, items[here])
        return self._outward(stars)

    def _predict_rows(self, users, row, items) -> np.ndarray:
        """Return stars inside for some users, and pairs of one of these and an item."""
        shape = (len(users), self.matrix.shape[1])
        cells, places = np.unique(row * shape[1] + items, return_inverse=True)
        at = RatingMatrix(*np.divmod(cells, shape[1]), np.ones(len(cells)), shape, ANY_STARS)
        with evaluating(self.net):
            return self.net(self.matrix[users.tolist()][0], at[:][0]).numpy()[places]

    @cached_property
    def _baselines(self) -> dict[str, Baseline]:
        return baselines(self.matrix)

    def _places(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of a table's users and items, and warn of those that are unknown."""
        users, items = table.places("user", self.users), table.places("item", self.items)
        num_unknown = int(((users < 0) | (items < 0)).sum())
        if num_unknown:
            warnings.warn(
                f"{table.where}: {num_unknown:,} of {len(table):,} rows have a user or an item "
                "that the model has not seen; they get what is known of the other one, or of all",
                stacklevel=3,
            )
        return users, items

    def _rated(self, ratings) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of the items that somebody new has rated, and the stars inside."""
        if isinstance(ratings, Mapping):
            ratings = pd.DataFrame({"item": ratings.keys(), "rating": ratings.values()})
            if ratings.empty:
                return np.empty(0, int), np.empty(0)
        table = read_table(ratings, ("item", "rating"), ("item", "rating"))
        places, values = table.places("item", self.items), table.numbers("rating")
        self.scale.check(torch.tensor(values), "rating", lambda i: f"{table.where}, row {i + 1}")
        if pd.Series(table.codes["item"]).duplicated().any():
            raise ValueError(f"{table.where}: an item is rated twice")
        is_known = places >= 0
        if not is_known.all():
            warnings.warn(
                f"{table.where}: {int((~is_known).sum())} of {len(places)} ratings are left out, "
                "for the model has not seen their items",
                stacklevel=3,
            )
        return places[is_known], self.scale.to_stars(values[is_known])

    def _outward(self, stars: np.ndarray) -> np.ndarray:
        """Return stars on the reader's scale, none beyond its ends."""
        return self.scale.from_stars(stars.clip(ANY_STARS.low, ANY_STARS.high).astype("float64"))


def load(path: str | os.PathLike) -> Model:
    """Read a model that :meth:`Model.save` wrote; nothing is unpickled.

    Raises ``OSError`` for a file that cannot be read, and ``ValueError`` for one that is no model,
    is damaged or cut off, or is of another version.

    Example: ``load("model.pt").recommend("user 7")``
    """
    return Model(**read_model(path))


def write_model(model: Any, path: str | os.PathLike) -> None:
    """Write a model to a file, which is the old one or the whole new one at any moment.

    Raises ``OSError`` where it cannot be written, as on a full disk.
    """
    matrix = model.matrix
    state = {
        "format": "autorec_d2l model",
        "version": VERSION,
        "net": model.net.state_dict(),
        "crow": matrix.crow,  # the ratings it was fitted to: its input
        "col": matrix.col,
        "values": matrix.values,
        "users": (model.users.values.astype(str).tolist(), str(model.users.values.dtype)),
        "items": (model.items.values.astype(str).tolist(), str(model.items.values.dtype)),
        "scale": (model.scale.low, model.scale.high),
        "settings": model.settings,
        "report": model.report,
    }
    write_state(state, Path(path))


def read_model(path: str | os.PathLike) -> dict:
    """Return the parts of a model that :func:`write_model` wrote, by their names in ``Model``.

    Raises ``OSError`` for a file that cannot be read, and ``ValueError`` for one that is no model,
    is damaged or cut off, or is of another version.
    """
    state = read_state(Path(path), "model", VERSION)
    try:
        users, items = (
            Ids(pd.Index(words).astype(dtype)) for words, dtype in (state["users"], state["items"])
        )
        shape, crow, col = (len(users), len(items)), state["crow"], state["col"]
        rows = repeat_rows(crow, len(col))
        matrix = RatingMatrix(rows, col, state["values"], shape, ANY_STARS)
        num_hidden = state["settings"]["num_hidden"]
        net = SparseAutoRec(num_hidden, len(items), column_means=torch.zeros(len(items)))
        net.load_state_dict(state["net"])
        parts = {"net": net, "matrix": matrix, "users": users, "items": items}
        low, high = state["scale"]
        parts |= {"scale": RatingScale(low, high, step=0)}
        return parts | {name: state[name] for name in ("settings", "report")}
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path} is no whole model of this library: {error}") from error
