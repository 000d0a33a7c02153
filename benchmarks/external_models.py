"""Models of other packages, in the form of `autorec_d2l.experiments.autorec`.

scikit-surprise {Hug 2020} brings the classics; myFM a Bayesian factorisation machine, whose
predictions are averaged over draws (Rendle 2013).
"""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import scipy.sparse
import surprise
import torch

from autorec_d2l import experiments

with warnings.catch_warnings():  # myfm asks pkg_resources for its own version
    warnings.simplefilter("ignore", UserWarning)
    import myfm

PACKAGES = ("torch", "numpy", "scipy", "scikit-surprise", "myfm")


def fit_surprise(
    train_data, held_out, sizes, num_epochs, seed, *, algorithm, scale=(1, 5), **settings
):
    """Fit an algorithm of Surprise by its name; with 0 epochs, one that has none."""
    table = train_data[["user_id", "item_id", "rating"]]
    reader = surprise.Reader(rating_scale=scale)
    ratings = surprise.Dataset.load_from_df(table, reader).build_full_trainset()
    if num_epochs:
        settings |= {"n_epochs": num_epochs, "random_state": seed}
    model = getattr(surprise, algorithm)(**settings, verbose=False).fit(ratings)
    return experiments.Fit(None, pd.DataFrame(), partial(_predict_surprise, model), 0)


def _predict_surprise(model, table):
    pairs = zip(table["user_id"], table["item_id"], strict=True)
    return torch.tensor([model.predict(*pair).est for pair in pairs], dtype=torch.float32)


def fit_myfm(train_data, held_out, sizes, num_epochs, seed, *, rank, implicit=False):
    """Fit a Bayesian factorisation machine by Gibbs sampling; an epoch is a draw.

    Its features are the user and the item; with `implicit`, as in SVD++, also which items the
    user rated and which users rated the item, in this training part.
    """
    blocks = _blocks(train_data, sizes, implicit)
    model = myfm.MyFMRegressor(rank=rank, random_seed=seed)
    groups = [block.shape[1] for block in blocks]
    model.fit(
        None,
        train_data["rating"].to_numpy("float64"),
        X_rel=_relations(train_data, blocks),
        n_iter=num_epochs,
        n_kept_samples=num_epochs - num_epochs // 5,
        group_shapes=_groups(groups, sizes, implicit),
    )
    return experiments.Fit(None, pd.DataFrame(), partial(_predict_myfm, model, blocks), 0)


def _blocks(table, sizes, implicit):
    """Return the features of every user and of every item, one sparse row each."""
    blocks = [scipy.sparse.identity(size, format="csr") for size in sizes]
    if implicit:
        users, items = table["user_id"].to_numpy() - 1, table["item_id"].to_numpy() - 1
        rated = scipy.sparse.csr_matrix((np.ones(len(table)), (users, items)), shape=sizes)
        for i, matrix in enumerate((rated, rated.T.tocsr())):
            counts = np.maximum(matrix.getnnz(axis=1), 1)
            share = scipy.sparse.diags(counts**-0.5) @ matrix
            blocks[i] = scipy.sparse.hstack([blocks[i], share], format="csr")
    return blocks


def _groups(columns, sizes, implicit):
    """Return how many columns share a prior."""
    if not implicit:
        return columns
    return [sizes[0], sizes[1], sizes[1], sizes[0]]


def _relations(table, blocks):
    ids = (table[name].to_numpy() - 1 for name in ("user_id", "item_id"))
    return [myfm.RelationBlock(rows, block) for rows, block in zip(ids, blocks, strict=True)]


def _predict_myfm(model, blocks, table):
    stars = model.predict(None, X_rel=_relations(table, blocks))
    return torch.tensor(stars, dtype=torch.float32)
