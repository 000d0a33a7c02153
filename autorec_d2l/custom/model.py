"""A fitted model: it predicts, recommends and evaluates in the ids and units of its ratings."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from autorec_d2l import experiments
from autorec_d2l.custom.ids import Ids
from autorec_d2l.custom.reader import Table, read_table
from autorec_d2l.custom.report import Baseline, compare_to_baselines, fit_baselines
from autorec_d2l.data.loaders import load_array
from autorec_d2l.data.rating_scale import ANY_STARS, RatingScale
from autorec_d2l.evaluation import evaluating
from autorec_d2l.recommend import similar_items, top_k
from autorec_d2l.sparse import RatingMatrix, SparseAutoRec
from autorec_d2l.sparse.pattern import repeat_rows
from autorec_d2l.training.checkpoints import read_state, write_state

NUM_ROWS = 1024  # users or items that are computed together
VERSION = 2
MIN_RATINGS = 5  # the prediction for an item with fewer is mostly noise
DAMPING = 5.0  # of the bias of a new user, as in experiments.fit_biases
NETWORKS: dict[str, dict[str, Any]] = {  # settings of make_autorec, by what a row is
    "user": {
        "num_hidden": 100,
        "dropout": 0.1,
        "input_dropout": 0.5,
        "subtract_means": True,
    },
    "item": {
        "num_hidden": 500,
        "dropout": 0.5,
        "input_dropout": 0.5,
        "output": "bounded",
        "init": "mean",
    },
}
CASES = {  # which members can answer
    "known": ("mean", "biases", "user", "item"),
    "new user": ("mean", "biases", "user"),
    "new item": ("mean", "biases", "item"),
    "unknown": ("mean", "biases"),
}


@dataclass(eq=False)
class Model:
    """An ensemble and what it needs to answer; :func:`fit` and :func:`load` make one.

    Args:
        networks: User-based and item-based AutoRec, by their names in :data:`NETWORKS`; only those
            with a weight.
        matrix: The ratings they were fitted to, in stars, ``(num_users, num_items)``: the ratings
            of a user are the input of the user-based one.
        users, items: The ids, in the order of the rows and the columns.
        scale: Of the ratings.
        weights: Of the members, for each of :data:`CASES`.
        report: Its epochs, validation and test results, see :func:`fit`.
    """

    networks: dict[str, SparseAutoRec]
    matrix: RatingMatrix
    users: Ids
    items: Ids
    scale: RatingScale
    weights: dict[str, dict[str, float]]
    report: dict

    def save(self, path: str | os.PathLike) -> None:
        """Write the model to a file, which at any moment is the old one or the complete new one.

        Raises ``OSError`` where it cannot be written, as on a full disk.
        """
        state = {
            "format": "autorec_d2l model",
            "version": VERSION,
            "networks": {name: net.state_dict() for name, net in self.networks.items()},
            "crow": self.matrix.crow,
            "col": self.matrix.col,
            "values": self.matrix.values,
            "users": (self.users.values.astype(str).tolist(), str(self.users.values.dtype)),
            "items": (self.items.values.astype(str).tolist(), str(self.items.values.dtype)),
            "scale": (self.scale.low, self.scale.high),
            "weights": self.weights,
            "report": self.report,
        }
        write_state(state, Path(path))

    def predict(self, pairs: str | os.PathLike | pd.DataFrame, **named) -> pd.DataFrame:
        """Return a column ``prediction`` beside ``user`` and ``item`` for each row of a table.

        ``pairs`` is a file or a DataFrame with users and items; ``named`` says which
        columns these are, as in :func:`read_ratings`. For a user or an item that the model does not
        know, the prediction is that of the biases; a ``UserWarning`` says for how many.
        """
        table = read_table(pairs, ("user", "item"), **named)
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
        ``ratings`` are given, by item in a dictionary, or in a table of items and ratings. Only the
        user-based network and the biases can answer a new one. An item needs ``min_ratings``.
        There are fewer than ``n`` rows where fewer items are left.

        Raises ``ValueError`` for an unknown user, and a rating off the scale. Unknown items are
        left out, and a ``UserWarning`` says so.
        """
        if (user is None) == (ratings is None):
            raise ValueError("give either a user, or the ratings of a new one")
        if ratings is None:
            [index] = self.users.indices([user])
            if index < 0:
                raise ValueError(f"the model does not know the user {user!r}: give ratings")
            rated, stars = self._all_items(np.array([index]))
        else:
            items, given = self._new_ratings(ratings, "item")
            rated = torch.zeros(1, len(self.items), dtype=torch.bool)
            rated[0, items] = True
            stars = self._new_row("user", items, given)[None]
        return self._best(stars[0], ~rated[0], n, min_ratings)

    def recommend_all(self, n: int = 10, min_ratings: int = MIN_RATINGS) -> Iterator[pd.DataFrame]:
        """Yield the table of :meth:`recommend` for each user, with a column ``user``, in blocks."""
        for start in range(0, len(self.users), NUM_ROWS):
            block, tables = np.arange(start, min(start + NUM_ROWS, len(self.users))), []
            for user, is_rated, stars in zip(block, *self._all_items(block), strict=True):
                best = self._best(stars, ~is_rated, n, min_ratings)
                best.insert(0, "user", self.users.values[user])
                tables.append(best)
            yield pd.concat(tables, ignore_index=True)

    def predict_new_item(
        self, ratings: Mapping[object, float] | str | os.PathLike | pd.DataFrame
    ) -> pd.DataFrame:
        """Return what each user would rate a new item, best first: ``user, prediction``.

        ``ratings`` are those that the item has, by user, as in :meth:`recommend`. Only the
        item-based network and the biases can answer.
        """
        users, given = self._new_ratings(ratings, "user")
        stars = self._from_stars(self._new_row("item", users, given).numpy())
        table = pd.DataFrame({"user": self.users.values, "prediction": stars})
        return table.sort_values("prediction", ascending=False, kind="stable", ignore_index=True)

    def similar(self, item: object, n: int = 10, min_ratings: int = MIN_RATINGS) -> pd.DataFrame:
        """Return the ``n`` items most similar to one: ``item, cosine``, of a network's weights.

        Raises ``ValueError`` for an unknown item, and for a model without a network.
        """
        [index] = self.items.indices([item])
        if index < 0:
            raise ValueError(f"the model does not know the item {item!r}")
        if not self.networks:
            raise ValueError("the model has no network, so it knows no similar items")
        by_user = self.networks.get("user")
        vectors = by_user.decoder.weight if by_user else self._codes["item"][0]
        best = similar_items(vectors, int(index) + 1, n, self._counts >= min_ratings)
        best["item_id"] = self.items.values[best["item_id"].to_numpy() - 1]
        return best.rename(columns={"item_id": "item"})

    def evaluate(self, test: str | os.PathLike | pd.DataFrame, **named) -> dict[str, float]:
        """Return :meth:`compare` for the ratings of a table; ``named`` is as in `predict`."""
        table = read_table(test, ("user", "item", "rating"), **named)
        return self.compare(*self._indices(table), table.numbers("rating"))

    def compare(
        self, users: np.ndarray, items: np.ndarray, ratings: np.ndarray
    ) -> dict[str, float]:
        """Return :func:`~autorec_d2l.custom.report.compare_to_baselines` for held-out ratings.

        ``users`` and ``items`` are indices from 0, -1 for an unknown one. Pairs that the model was
        fitted to are left out, and a ``UserWarning`` says how many; raises ``ValueError`` if no
        other pair is left. With two users or more, ``low`` and ``high`` are the ends of a 95 %
        interval of the model's RMSE, by a bootstrap over users.
        """
        is_fitted = self._is_fitted(users, items)
        if is_fitted.any():
            note = f"the model was fitted to {is_fitted.sum():,} of these {len(users):,} pairs"
            if is_fitted.all():
                raise ValueError(f"{note}: evaluate it on pairs that it has not seen")
            warnings.warn(f"{note}, which are left out", stacklevel=3)
            users, items, ratings = (part[~is_fitted] for part in (users, items, ratings))
        others = {name: self._from_stars(f(users, items)) for name, f in self._baselines.items()}
        predictions = self._predict(users, items)
        report = compare_to_baselines(ratings, predictions, **others)
        if len(np.unique(users)) > 1:
            errors, zeros = (predictions - ratings) ** 2, np.zeros(len(ratings))
            interval = experiments.bootstrap_users(errors, zeros, users, num_draws=1000)
            report |= {"low": interval.low, "high": interval.high}
        return report

    def members(
        self, names: Sequence[str], users: np.ndarray, items: np.ndarray
    ) -> dict[str, torch.Tensor]:
        """Return what members predict for pairs of indices, each ``(num_pairs,)``, in stars.

        Networks need known indices; to ``mean`` and ``biases`` an index may be -1.
        """
        stars = {}
        for name in names:
            if name in NETWORKS:
                rows, columns = (users, items) if name == "user" else (items, users)
                stars[name] = self._at(name, torch.tensor(rows), torch.tensor(columns))
            else:
                stars[name] = torch.tensor(self._baselines[name](users, items))
        return stars

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
        for case, here in (("known", is_known), ("unknown", ~is_known)):
            weights = self.weights[case]
            stars[here] = experiments.mix(
                self.members(list(weights), users[here], items[here]), weights
            )
        return self._from_stars(stars)

    def _all_items(self, users: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return of known users which items they have rated, and the stars predicted of all items.

        Both are ``(num_users, num_items)``.
        """
        weights, every, stars = self.weights["known"], np.arange(len(self.items)), {}
        for name in weights:
            if name in NETWORKS:
                rows, columns = (users, every) if name == "user" else (every, users)
                cells = self._at(name, torch.tensor(rows)[:, None], torch.tensor(columns))
                stars[name] = cells if name == "user" else cells.T
            else:  # a sum of a part for each user and one for each item
                of_users = self.members([name], users, np.full(len(users), -1))[name]
                of_items = self.members([name], np.full(len(every), -1), every)[name]
                mean = self.members([name], np.array([-1]), np.array([-1]))[name]
                stars[name] = of_users[:, None] + of_items - mean
        rated = self.matrix[users.tolist()][0].to_dense() > 0
        flat = {name: of.reshape(-1) for name, of in stars.items()}
        return rated, experiments.mix(flat, weights).view(rated.shape)

    def _at(self, name: str, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Return the stars that a network predicts at some cells of its rows.

        ``rows`` and ``columns`` are ``(num_cells,)``, or ``(num_rows, 1)`` and ``(num_columns,)``
        for all cells of some rows and columns.
        """
        net, (hidden, row_means) = self.networks[name], self._codes[name]
        with evaluating(net):
            weight, bias = net.decoder.weight, net.decoder.bias
            if rows.ndim == 2:
                scores = hidden[rows[:, 0]] @ weight[columns].T
            else:
                blocks = zip(rows.split(2**13), columns.split(2**13), strict=True)
                scores = torch.cat([(hidden[row] * weight[col]).sum(1) for row, col in blocks])
            stars = net.output(scores + bias[columns])
            if net.column_means is not None:
                stars = stars + net.column_means[columns] + row_means[rows]
        return stars

    def _new_row(self, name: str, columns: np.ndarray, stars: np.ndarray) -> torch.Tensor:
        """Return the predictions for a new user or item, of whom some ratings are known, in stars.

        ``name`` is that of the network whose rows are of this kind.
        """
        count = self.matrix.shape[1] if name == "user" else self.matrix.shape[0]
        every, unknown = np.arange(count), np.full(count, -1)
        pairs = (unknown, every) if name == "user" else (every, unknown)
        weights = self.weights[f"new {name}"]
        members = self.members([m for m in weights if m != name], *pairs)
        if "biases" in members:
            rest = stars - members["biases"].numpy()[columns]
            members["biases"] += rest.sum() / (len(rest) + DAMPING)
        if name in weights:
            row = torch.zeros(1, count)
            row[0, columns] = torch.tensor(stars, dtype=torch.float32)
            everywhere = torch.ones(1, count).to_sparse_csr()
            with evaluating(self.networks[name]) as net:
                members[name] = net(row.to_sparse_csr(), everywhere)
        return experiments.mix(members, weights)

    def _best(self, stars, is_left, n, min_ratings) -> pd.DataFrame:
        """Return the best items by their stars, ``(num_items,)``, in ids and units."""
        best = top_k(stars, is_left & (self._counts >= min_ratings), n, "stars")
        items = self.items.values[best["item_id"].to_numpy() - 1]
        return pd.DataFrame(
            {"item": items, "prediction": self._from_stars(best["stars"].to_numpy())}
        )

    @cached_property
    def _counts(self) -> torch.Tensor:
        return self.matrix.col.bincount(minlength=len(self.items))

    @cached_property
    def _baselines(self) -> dict[str, Baseline]:
        return fit_baselines(self.matrix)

    @cached_property
    def _codes(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Hidden units and row means of all rows of each network."""
        codes = {}
        for name, net in self.networks.items():
            rows = load_array((orient(self.matrix, name),), NUM_ROWS, is_train=False)
            with evaluating(net):
                parts = [net.encode(ratings) for ratings, _ in rows]
            hidden, row_means = map(torch.cat, zip(*parts, strict=True))
            codes[name] = hidden, row_means
        return codes

    def _indices(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of a table's users and items, and warn of unknown ones."""
        users, items = table.indices("user", self.users), table.indices("item", self.items)
        num_unknown = int(((users < 0) | (items < 0)).sum())
        if num_unknown:
            note = f"{num_unknown:,} of {len(users):,} rows have an unknown user or item"
            warnings.warn(f"{table.name}: {note}; the biases predict these", stacklevel=3)
        return users, items

    def _new_ratings(self, ratings, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of the items that a new user has rated, and the stars.

        ``kind`` is ``item``; or ``user``, for those who have rated a new item.
        """
        if isinstance(ratings, Mapping):
            ratings = pd.DataFrame({kind: ratings.keys(), "rating": ratings.values()})
            if ratings.empty:
                return np.empty(0, int), np.empty(0)
        table = read_table(ratings, (kind, "rating"))
        ids = self.items if kind == "item" else self.users
        places, values = table.indices(kind, ids), table.numbers("rating")
        self.scale.check(torch.tensor(values), "rating", lambda i: f"{table.name}, row {i + 1}")
        if pd.Series(table.columns[kind].codes).duplicated().any():
            raise ValueError(f"{table.name}: an {kind} occurs twice")
        is_known = places >= 0
        if not is_known.all():
            note = f"{(~is_known).sum():,} of {len(places):,} ratings are of unknown {kind}s"
            warnings.warn(f"{table.name}: {note}, which are left out", stacklevel=3)
        return places[is_known], self.scale.to_stars(values[is_known])

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
        networks = {}
        for name, weights in state["networks"].items():
            networks[name] = make_network(name, orient(matrix, name))
            networks[name].load_state_dict(weights)
        low, high = state["scale"]
        scale = RatingScale(low, high, step=0)
        return Model(networks, matrix, users, items, scale, state["weights"], state["report"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is not a complete model: {error}") from error


def make_network(name: str, rows: RatingMatrix) -> SparseAutoRec:
    """Return an untrained network for the rows of a matrix."""
    return experiments.make_autorec(rows, scale=ANY_STARS, **NETWORKS[name])


def orient(matrix: RatingMatrix, name: str) -> RatingMatrix:
    """Return a matrix ``(num_users, num_items)`` with the rows of a network: users, or items."""
    if name == "user":
        return matrix
    users = repeat_rows(matrix.crow, len(matrix.col))
    return RatingMatrix(matrix.col, users, matrix.values, matrix.shape[::-1], ANY_STARS)


def indices(data: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the users and items of a table of ratings, from 0."""
    return data["user_id"].to_numpy() - 1, data["item_id"].to_numpy() - 1
