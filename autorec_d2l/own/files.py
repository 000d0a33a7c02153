"""A model as a file: weights, ids, scale, settings and version; nothing is ever unpickled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from autorec_d2l.checkpoints import read_state, write_state
from autorec_d2l.own.ids import Ids
from autorec_d2l.own.units import INSIDE
from autorec_d2l.scale import Scale
from autorec_d2l.sparse import RatingMatrix, SparseAutoRec
from autorec_d2l.sparse.cells import repeat_rows

VERSION = 1


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
        matrix = RatingMatrix(rows, col, state["values"], shape, INSIDE)
        num_hidden = state["settings"]["num_hidden"]
        net = SparseAutoRec(num_hidden, len(items), column_means=torch.zeros(len(items)))
        net.load_state_dict(state["net"])
        parts = {"net": net, "matrix": matrix, "users": users, "items": items}
        low, high = state["scale"]
        parts |= {"scale": Scale(low, high, step=0)}
        return parts | {name: state[name] for name in ("settings", "report")}
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path} is no whole model of this library: {error}") from error
