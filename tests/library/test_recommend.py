"""Top-k for a known and for a new user, similar items, and what each refuses."""

import re

import numpy as np
import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l.recommend import fold_in, recommend, similar_items, top_k
from autorec_d2l.sparse import RatingMatrix, SparseAutoRec


class Constant(torch.nn.Module):
    """Return fixed predictions, with the sizes of an AutoRec."""

    def __init__(self, predictions):
        super().__init__()
        self.predictions = torch.as_tensor(predictions, dtype=torch.float32)
        self.decoder = torch.nn.Linear(1, self.predictions.shape[1])

    def forward(self, rows):
        assert not self.training
        return self.predictions[: len(rows)]


PREDICTIONS = [[3.0, 1.0], [4.0, 1.0], [5.5, 1.0], [4.0, 1.0], [2.0, 1.0]]  # (items, users)
INTER = torch.tensor([[0.0, 5], [0, 1], [3, 0], [0, 2], [0, 0]])


def items(table):
    return table["item_id"].tolist()


def test_known_user_gets_what_is_left_best_first_and_ties_by_id():
    table = recommend(Constant(PREDICTIONS), INTER, 1)
    assert items(table) == [2, 4, 1, 5]  # 3 is rated, 2 and 4 tie
    assert table["stars"].tolist() == pytest.approx([4, 4, 3, 2])
    assert items(recommend(Constant(PREDICTIONS), INTER, 1, n=2)) == [2, 4]
    assert items(recommend(Constant(PREDICTIONS), INTER, 2)) == [3, 5]


def test_ties_are_stable_at_any_length():
    table = top_k(torch.zeros(5000), torch.ones(5000, dtype=torch.bool), 5000, "stars")
    assert items(table) == list(range(1, 5001))


def test_items_with_few_ratings_are_left_out():
    net = Constant(PREDICTIONS)
    assert items(recommend(net, INTER, 1, min_ratings=1)) == [2, 4, 1]
    assert items(recommend(net, INTER, 1, min_ratings=2)) == []


def test_everything_rated_gives_an_empty_table():
    table = recommend(Constant(PREDICTIONS), torch.ones(5, 2), 1)
    assert table.empty
    assert list(table) == ["item_id", "stars"]
    new = fold_in(Constant([[1.0, 2.0]]), {1: 5, 2: 3})
    assert new.empty


def test_refused_arguments():
    for arguments, message in (
        ((1, 0), "n must be an integer, at least 1, got 0"),
        ((0,), "user_id must be an integer, at least 1, got 0"),
        ((3,), "user_id must be an integer from 1 to 2, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            recommend(Constant(PREDICTIONS), INTER, *arguments)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        recommend(d2l.AutoRec(3, 2), INTER.T, 1)
    with pytest.raises(ValueError, match="not finite"):
        fold_in(Constant([[1.0, torch.nan]]), {})


@pytest.fixture
def user_based(ratings):
    """An untrained user-based network with weights that matter, and its matrix."""
    table, num_users, num_items = ratings
    users, films, stars = (
        torch.tensor(table[c].to_numpy()) for c in ("user_id", "item_id", "rating")
    )
    matrix = RatingMatrix(users - 1, films - 1, stars, (num_users, num_items))
    torch.manual_seed(0)
    net = SparseAutoRec(3, num_items, column_means=matrix.column_means())
    for layer in (net.encoder, net.decoder):
        torch.nn.init.normal_(layer.weight)
    return net, matrix


def test_a_new_user_with_the_ratings_of_a_known_one_gets_the_same(user_based):
    net, matrix = user_based
    row = matrix[[4]][0]
    own = dict(zip((row.col_indices() + 1).tolist(), row.values().tolist(), strict=True))
    with torch.no_grad():
        everywhere = torch.ones(1, matrix.shape[1]).to_sparse_csr()
        stars = net.eval()(row, everywhere)  # (num_items,)
    table = fold_in(net, own, n=100)
    assert set(items(table)) == set(range(1, matrix.shape[1] + 1)) - set(own)
    assert table["stars"].is_monotonic_decreasing
    np.testing.assert_allclose(table["stars"], stars[table["item_id"].to_numpy() - 1], rtol=1e-6)


def test_dense_and_sparse_networks_recommend_the_same():
    dense, sparse = d2l.AutoRec(4, 9), SparseAutoRec(4, 9)
    torch.nn.init.normal_(dense.encoder.weight)
    torch.nn.init.normal_(dense.decoder.weight)
    sparse.load_state_dict(dense.state_dict())
    ratings = {2: 5, 7: 1}
    one, other = fold_in(dense, ratings), fold_in(sparse, ratings)
    assert items(one) == items(other)
    np.testing.assert_allclose(one["stars"], other["stars"], rtol=1e-5)


def test_recommending_leaves_the_network_in_training_mode():
    net = d2l.AutoRec(2, 3).train()
    fold_in(net, {1: 4})
    assert net.training


def test_items_with_few_ratings_are_left_out_for_a_new_user(user_based):
    net, matrix = user_based
    counts = torch.arange(matrix.shape[1])
    table = fold_in(net, {15: 3}, n=100, num_ratings=counts, min_ratings=10)
    assert sorted(items(table)) == [11, 12, 13, 14]
    with pytest.raises(ValueError, match="min_ratings needs num_ratings"):
        fold_in(net, {15: 3}, min_ratings=10)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({0: 3}, "item_id must be an integer, at least 1, got 0"),
        ({16: 3}, "item_id must be an integer from 1 to 15, got 16"),
        ({"Fargo": 3}, "item_id must be an integer, at least 1, got 'Fargo'"),
        ({1: 2.5}, "ratings must be whole numbers from 1 to 5, got 2.5"),
    ],
)
def test_wrong_ratings(user_based, given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        fold_in(user_based[0], given)


def test_similar_items():
    vectors = torch.tensor([[1.0, 0], [0, 2], [3, 3], [0, 0], [-1, 0], [1, 0]])
    table = similar_items(vectors, 1)
    assert items(table) == [6, 3, 2, 4, 5]
    np.testing.assert_allclose(table["cosine"], [1, 0.5**0.5, 0, 0, -1], atol=1e-6)
    is_eligible = torch.tensor([True, True, True, True, False, False])
    assert items(similar_items(vectors, 1, 2, is_eligible)) == [3, 2]
    with pytest.raises(ValueError, match="item_id must be an integer from 1 to 6, got 7"):
        similar_items(vectors, 7)
    with pytest.raises(ValueError, match="not finite"):
        similar_items(vectors * float("inf"), 1)
