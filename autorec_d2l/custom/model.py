"""A fitted model: it predicts, recommends and evaluates in the ids and units of its ratings."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from autorec_d2l.custom.ids import Ids
from autorec_d2l.custom.reader import Table, read_table
from autorec_d2l.custom.report import Baseline, compare_to_baselines, fit_baselines
from autorec_d2l.data.rating_scale import ANY_STARS, RatingScale
from autorec_d2l.evaluation import evaluating
from autorec_d2l.recommend import fold_in
from autorec_d2l.sparse import RatingMatrix, SparseAutoRec
from autorec_d2l.sparse.pattern import repeat_rows
from autorec_d2l.training.checkpoints import read_state, write_state

NUM_ROWS = 1024  # users that are predicted together
VERSION = 1
MIN_RATINGS = 5  # the prediction for an item with fewer is mostly noise


@dataclass(eq=False)
class Model:
    """A network and what it needs to answer; :func:`fit` and :func:`load` make one.

    Args:
        net: User-based, with column means.
        matrix: The ratings it was fitted to, in stars, ``(num_users, num_items)``: the ratings of
            a user are the network's input.
        users, items: The ids, in the order of the rows and the columns.
        scale: Of the ratings.
        settings: How it was fitted.
        report: Its comparison to the baselines, see :func:`fit`.
    """

    net: SparseAutoRec
    matrix: RatingMatrix
    users: Ids
    items: Ids
    scale: RatingScale
    settings: dict
    report: dict

    def save(self, path: str | os.PathLike) -> None:
        """Write the model to a file, which at any moment is the old one or the complete new one.

        Raises ``OSError`` where it cannot be written, as on a full disk.
        """
        state = {
            "format": "autorec_d2l model",
            "version": VERSION,
            "net": self.net.state_dict(),
            "crow": self.matrix.crow,
            "col": self.matrix.col,
            "values": self.matrix.values,
            "users": (self.users.values.astype(str).tolist(), str(self.users.values.dtype)),
            "items": (self.items.values.astype(str).tolist(), str(self.items.values.dtype)),
            "scale": (self.scale.low, self.scale.high),
            "settings": self.settings,
            "report": self.report,
        }
        write_state(state, Path(path))

    def predict(self, pairs: str | os.PathLike | pd.DataFrame, **form) -> pd.DataFrame:
        """Return a column ``prediction`` beside ``user`` and ``item`` for each row of a table.

        ``pairs`` is a file or a DataFrame with users and items; ``form`` is as in
        :func:`read_ratings`. For a user or an item that the model does not know, the prediction is
        that of the biases; a ``UserWarning`` says for how many.
        """
        table = read_table(pairs, ("user", "item"), ("user", "item"), **form)
        users, items = self._indices(table)
        columns = {kind: column.categories[column.codes] for kind, column in table.columns.items()}
        return pd.DataFrame(columns | {"prediction": self._predict(users, items)})

    def recommend(
        self,
        user: object = None,
        *,
        ratings: Mapping[object, float] | str | os.PathLike | pd.DataFrame | None = None,
        n: int = 10,
        min_ratings: int = MIN_RATINGS,
    ) -> pd.DataFrame:
        """Return the ``n`` best items that a user has not rated: ``item, prediction``.

        It is a ``user`` of the ratings that the model was fitted to, or a new one, of whom
        ``ratings`` are given, by item in a dictionary, or in a table of items and ratings. An item
        needs ``min_ratings``. There are fewer than ``n`` rows where fewer items are left.

        Raises ``ValueError`` for an unknown user, and a rating off the scale. Unknown items are
        left out, and a ``UserWarning`` says so.
        """
        if (user is None) == (ratings is None):
            raise ValueError("give either a user, or the ratings of a new one")
        if ratings is None:
            [index] = self.users.indices([user])
            if index < 0:
                raise ValueError(f"the model does not know the user {user!r}: give ratings")
            row, _ = self.matrix[[int(index)]]
            items, stars = row.col_indices().numpy(), row.values().numpy()
        else:
            items, stars = self._new_ratings(ratings)
        given = {int(item) + 1: float(star) for item, star in zip(items, stars, strict=True)}
        counts = self.matrix.col.bincount(minlength=len(self.items))
        best = fold_in(self.net, given, n, counts, min_ratings, ANY_STARS)
        items = self.items.values[best["item_id"].to_numpy() - 1]
        return pd.DataFrame(
            {"item": items, "prediction": self._from_stars(best["stars"].to_numpy())}
        )

    def evaluate(self, test: str | os.PathLike | pd.DataFrame, **form) -> dict[str, float]:
        """Return :meth:`compare` for the ratings of a table; ``form`` is as in `read_ratings`."""
        kinds = ("user", "item", "rating")
        table = read_table(test, kinds, kinds, **form)
        return self.compare(*self._indices(table), table.numbers("rating"))

    def compare(
        self, users: np.ndarray, items: np.ndarray, ratings: np.ndarray
    ) -> dict[str, float]:
        """Return :func:`~autorec_d2l.custom.report.compare_to_baselines` for held-out ratings.

        ``users`` and ``items`` are indices from 0, -1 for an unknown one. Pairs that the model was
        fitted to are left out, and a ``UserWarning`` says how many; raises ``ValueError`` if no
        other pair is left.
        """
        is_fitted = self._is_fitted(users, items)
        if is_fitted.any():
            note = f"the model was fitted to {is_fitted.sum():,} of these {len(users):,} pairs"
            if is_fitted.all():
                raise ValueError(f"{note}: evaluate it on pairs that it has not seen")
            warnings.warn(f"{note}, which are left out", stacklevel=3)
            users, items, ratings = (part[~is_fitted] for part in (users, items, ratings))
        others = {name: self._from_stars(f(users, items)) for name, f in self._baselines.items()}
        return compare_to_baselines(ratings, self._predict(users, items), **others)

    def _is_fitted(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return of each pair of indices whether the model was fitted to a rating of it."""
        rows = repeat_rows(self.matrix.crow, len(self.matrix.col)).long()
        pairs = (rows * len(self.items) + self.matrix.col).numpy()
        is_known = (users >= 0) & (items >= 0)
        return is_known & np.isin(users.astype("int64") * len(self.items) + items, pairs)

    def _predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return predictions on the scale of the ratings for indices, -1 for an unknown one."""
        is_known = (users >= 0) & (items >= 0)
        stars = np.empty(len(users), dtype="float32")
        if not is_known.all():
            stars[~is_known] = self._baselines["biases"](users[~is_known], items[~is_known])
        known = is_known.nonzero()[0]
        asked, row = np.unique(users[known], return_inverse=True)
        for start in range(0, len(asked), NUM_ROWS):
            block, here = asked[start : start + NUM_ROWS], (row - start) // NUM_ROWS == 0
            stars[known[here]] = self._predict_rows(block, row[here] - start, items[known[here]])
        return self._from_stars(stars)

    def _predict_rows(self, users, row, items) -> np.ndarray:
        """Return stars for pairs of one of some users, by its ``row`` among them, and an item."""
        shape = (len(users), self.matrix.shape[1])
        cells, inverse = np.unique(row * shape[1] + items, return_inverse=True)
        at = RatingMatrix(*np.divmod(cells, shape[1]), np.ones(len(cells)), shape, ANY_STARS)
        with evaluating(self.net):
            return self.net(self.matrix[users.tolist()][0], at[:][0]).numpy()[inverse]

    @cached_property
    def _baselines(self) -> dict[str, Baseline]:
        return fit_baselines(self.matrix)

    def _indices(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of a table's users and items, and warn of unknown ones."""
        users, items = table.indices("user", self.users), table.indices("item", self.items)
        num_unknown = int(((users < 0) | (items < 0)).sum())
        if num_unknown:
            note = f"{num_unknown:,} of {len(users):,} rows have an unknown user or item"
            warnings.warn(f"{table.name}: {note}; the biases predict these", stacklevel=3)
        return users, items

    def _new_ratings(self, ratings) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of the items that a new user has rated, and the stars."""
        if isinstance(ratings, Mapping):
            ratings = pd.DataFrame({"item": ratings.keys(), "rating": ratings.values()})
            if ratings.empty:
                return np.empty(0, int), np.empty(0)
        table = read_table(ratings, ("item", "rating"), ("item", "rating"))
        items, values = table.indices("item", self.items), table.numbers("rating")
        self.scale.check(torch.tensor(values), "rating", lambda i: f"{table.name}, row {i + 1}")
        if pd.Series(table.columns["item"].codes).duplicated().any():
            raise ValueError(f"{table.name}: an item is rated twice")
        is_known = items >= 0
        if not is_known.all():
            note = f"{(~is_known).sum():,} of {len(items):,} ratings are of unknown items"
            warnings.warn(f"{table.name}: {note}, which are left out", stacklevel=3)
        return items[is_known], self.scale.to_stars(values[is_known])

    def _from_stars(self, stars: np.ndarray) -> np.ndarray:
        """Return stars on the scale of the ratings, none beyond its ends."""
        return self.scale.from_stars(stars.clip(ANY_STARS.low, ANY_STARS.high).astype("float64"))


def load(path: str | os.PathLike) -> Model:
    """Read a model that :meth:`Model.save` wrote; nothing is unpickled.

    Raises ``OSError`` for a file that cannot be read, and ``ValueError`` for one that is not a
    model, is damaged or cut off, or is of another version.

    Example: ``load("model.pt").recommend("user 7")``
    """
    state = read_state(Path(path), "model", VERSION)
    try:
        users, items = (
            Ids(pd.Index(values).astype(dtype))
            for values, dtype in (state["users"], state["items"])
        )
        rows = repeat_rows(state["crow"], len(state["col"]))
        shape = len(users), len(items)
        matrix = RatingMatrix(rows, state["col"], state["values"], shape, ANY_STARS)
        num_hidden = state["settings"]["num_hidden"]
        net = SparseAutoRec(num_hidden, len(items), column_means=torch.zeros(len(items)))
        net.load_state_dict(state["net"])
        low, high = state["scale"]
        scale = RatingScale(low, high, step=0)
        return Model(net, matrix, users, items, scale, state["settings"], state["report"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is not a complete model: {error}") from error
