"""Ranking metrics against torchmetrics on the same lists, and the models that make the lists."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.functional import retrieval

from autorec_d2l import experiments
from autorec_d2l.experiments import ranking_models
from autorec_d2l.experiments.ranking_metrics import (
    coverage_and_popularity,
    ranking_metrics,
    top_lists,
    user_item_matrix,
)

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import rankers


def made_up(seed=0, num_users=40, num_items=60):
    """Return scores, seen and relevant items, with users who have none or many relevant ones."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(num_users, num_items, generator=generator)
    kind = torch.rand(num_users, num_items, generator=generator)
    seen, relevant = kind < 0.3, kind > 0.9
    relevant[0] = False
    relevant[1] = ~seen[1]  # more than a list holds
    return scores, seen, relevant


@pytest.mark.parametrize("k", [1, 10])
def test_metrics_are_those_of_torchmetrics(k):
    """torchmetrics ranks the scores of all items itself, with the seen ones last."""
    scores, seen, relevant = made_up()
    table = ranking_metrics(top_lists(scores, seen, k), relevant)
    assert list(table.index) == [user for user in range(40) if relevant[user].any()]
    theirs = {
        "precision": retrieval.retrieval_precision,
        "recall": retrieval.retrieval_recall,
        "ndcg": retrieval.retrieval_normalized_dcg,
    }
    for name, metric in theirs.items():
        expected = [
            float(metric(scores[user].masked_fill(seen[user], -100), relevant[user], top_k=k))
            for user in table.index
        ]
        np.testing.assert_allclose(table[name], expected, rtol=1e-6)  # theirs is float32
        assert 0 < table[name].mean() < 1


def test_lists_hold_unseen_items_best_first_and_ties_by_index():
    scores = torch.tensor([[1.0, 3, 2, 2, 9]])
    seen = torch.tensor([[False, False, False, False, True]])
    assert top_lists(scores, seen, 4).tolist() == [[1, 2, 3, 0]]


@pytest.mark.parametrize(
    ("scores", "k", "message"),
    [
        (torch.zeros(2, 3), 0, "k must be 1 to 2, the fewest unseen items, got 0"),
        (torch.zeros(2, 3), 3, "k must be 1 to 2"),
        (torch.zeros(2, 4), 1, "differ"),
        (torch.full((2, 3), torch.nan), 1, "not finite"),
    ],
)
def test_refused_lists(scores, k, message):
    seen = torch.tensor([[True, False, False], [False, False, False]])
    with pytest.raises(ValueError, match=message):
        top_lists(scores, seen, k)


def test_coverage_and_popularity_by_hand():
    lists = torch.tensor([[0, 1], [0, 2]])
    found = coverage_and_popularity(lists, torch.tensor([30, 20, 10, 5]))
    assert found == pytest.approx({"coverage": 0.75, "popularity": 22.5})


def test_ease_solves_what_it_says():
    """Each column of weights is the ridge regression of an item on all others."""
    torch.manual_seed(0)
    liked = (torch.rand(50, 8) < 0.4).double()
    scores = ranking_models.ease(liked, wd=3.0)
    for item in range(8):
        others = [other for other in range(8) if other != item]
        X, y = liked[:, others], liked[:, item]
        w = torch.linalg.solve(X.T @ X + 3.0 * torch.eye(7, dtype=torch.float64), X.T @ y)
        torch.testing.assert_close(scores[:, item], X @ w)


def test_input_of_the_models(ratings):
    """Ones for what was rated or liked, or the stars themselves; all else is 0."""
    table, *sizes = ratings
    sizes = tuple(sizes)
    stars = torch.zeros(sizes)
    for row in table.itertuples():
        stars[row.user_id - 1, row.item_id - 1] = row.rating
    assert torch.equal(rankers.input_matrix(table, sizes, None), stars)
    assert torch.equal(user_item_matrix(table, sizes), stars > 0)
    for least in (1, 4):
        assert torch.equal(user_item_matrix(table, sizes, min_rating=least), stars >= least)
        matrix = rankers.input_matrix(table, sizes, least)
        assert torch.equal(matrix, (stars >= least).float())
    scores = rankers.rank_ease(table, sizes, wd=5.0, min_rating=None)
    torch.testing.assert_close(scores, ranking_models.ease(stars.double(), 5.0).float())


def test_mult_vae():
    torch.manual_seed(0)
    net = rankers.MultVAE(20, 8, 4)
    liked = (torch.rand(6, 20) < 0.3).float()
    log_probabilities, divergence = net(liked)
    torch.testing.assert_close(log_probabilities.exp().sum(1), torch.ones(6))
    assert (divergence >= 0).all()
    assert (net(liked)[0] - log_probabilities).abs().max() > 1e-3  # noise
    net.eval()
    torch.testing.assert_close(net(liked)[0], net(liked)[0])
    mean, log_var = net.encoder(nn.functional.normalize(liked)).chunk(2, dim=1)
    normal = torch.distributions.Normal
    theirs = torch.distributions.kl_divergence(
        normal(mean, (log_var / 2).exp()), normal(torch.zeros_like(mean), 1.0)
    )
    torch.testing.assert_close(net(liked)[1], theirs.sum(1))


RANKERS = {
    "popularity": partial(ranking_models.rank_popularity, seed=0),
    "mf": partial(rankers.rank_mf, seed=0, num_epochs=2, batch_size=5),
    "autorec": partial(ranking_models.rank_autorec, seed=0, num_epochs=2, batch_size=5),
    "ease": partial(rankers.rank_ease, wd=5.0),
    "mult_vae": partial(rankers.rank_mult_vae, seed=0, num_epochs=2),
    "mult_vae_stars": partial(
        rankers.rank_mult_vae, seed=0, num_epochs=2, min_rating=None, num_hidden=9, dropout=0
    ),
}


@pytest.mark.parametrize("name", RANKERS)
def test_rankers_score_every_pair_and_are_reproducible(ratings, name):
    table, *sizes = ratings
    scores = RANKERS[name](table, tuple(sizes))
    assert scores.shape == tuple(sizes)
    assert scores.isfinite().all()
    assert not scores.requires_grad
    torch.testing.assert_close(scores, RANKERS[name](table, tuple(sizes)))


@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_an_id_of_0_is_refused(ratings, column):
    """It would be the last row or column."""
    table, *sizes = ratings
    wrong = table.assign(**{column: table[column] - 1})
    for call in (user_item_matrix, *RANKERS.values()):
        with pytest.raises(ValueError, match=f"{column} must be an integer, 1 to"):
            call(wrong, tuple(sizes))


def test_scores_are_the_predictions(ratings):
    """The scores of MF and AutoRec are the stars that their fits predict."""
    table, *sizes = ratings
    users, items = (torch.tensor(table[c].to_numpy()) - 1 for c in ("user_id", "item_id"))
    for ranker, fit, more in (
        (rankers.rank_mf, experiments.fit_mf, {"with_mean": True}),
        (ranking_models.rank_autorec, experiments.fit_autorec, {}),
    ):
        stars = fit(table, None, tuple(sizes), 3, 1, batch_size=5, **more).predict(table)
        scores = ranker(table, tuple(sizes), 1, num_epochs=3, batch_size=5)
        torch.testing.assert_close(scores[users, items], stars)


def test_without_the_mask_empty_cells_are_targets(ml100k):
    """A short training: unrated cells end near 0 without the mask, near the stars with it."""
    data, *sizes = ml100k
    seen = user_item_matrix(data, tuple(sizes))
    means = []
    for mask in (True, False):
        scores = ranking_models.rank_autorec(data, tuple(sizes), 0, num_epochs=4, mask=mask)
        means.append(float(scores[~seen].mean()))
    assert means[0] > 2
    assert abs(means[1]) < 0.3
