"""The baselines by hand where possible; none reads the ratings that it is to predict."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l import experiments

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from linear_autoencoder import fit_linear_autoencoder

SIZES = (3, 4)  # users, items
TRAIN = pd.DataFrame(
    [(1, 1, 5), (1, 2, 4), (2, 1, 3), (2, 3, 2), (3, 2, 1)],
    columns=["user_id", "item_id", "rating"],
)
ASKED = pd.DataFrame([(3, 4, 1), (1, 3, 5)], columns=TRAIN.columns)
FITS = [
    experiments.fit_mean,
    experiments.fit_biases,
    experiments.fit_mf,
    experiments.fit_autorec,
]


def test_mean_by_hand():
    predictions = experiments.fit_mean(TRAIN, None, SIZES).predict(ASKED)
    assert predictions.tolist() == pytest.approx([3, 3])


def test_biases_by_hand():
    # Item 3 has one rating, 1 below the mean of 3: -1 / (1 + 1). What then remains of user 1 is
    # 2 - 2/3 (item 1 has a bias of (2 + 0) / (2 + 1)) and 1 - (-1/3): 8/3, over 2 + 1 ratings.
    # Item 4 has none; of user 3 remains -2 - (-1/3), over 1 + 1.
    predictions = experiments.fit_biases(TRAIN, None, SIZES, damping=1.0).predict(ASKED)
    assert predictions.tolist() == pytest.approx([3 - 5 / 6, 3 - 1 / 2 + 8 / 9], abs=1e-6)


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.__name__)
def test_predictions_follow_the_rows_and_not_the_ratings(fit):
    fitted = fit(TRAIN, None, SIZES, 2, 0)
    predictions = fitted.predict(ASKED)
    assert predictions.shape == (2,)
    assert fitted.history["test_rmse"].isna().all()
    torch.testing.assert_close(fitted.predict(ASKED.iloc[[1, 0]]).flip(0), predictions)
    assert torch.equal(fitted.predict(ASKED.assign(rating=3)), predictions)
    watched = [fit(TRAIN, held_out, SIZES, 2, 0) for held_out in (ASKED, ASKED.assign(rating=3))]
    assert torch.equal(watched[0].predict(ASKED), watched[1].predict(ASKED))
    again = pickle.loads(pickle.dumps(fitted))
    assert torch.equal(again.predict(ASKED), predictions)
    assert torch.equal(fitted.predict(ASKED.drop(columns="rating")), predictions)


def test_mf_is_trained_by_an_explicit_loop(ratings):
    """Two epochs of `fit_mf` are two epochs of the loop that the chapter shows."""
    data, *sizes = ratings
    train, test = d2l.split_data_ml100k(data, *sizes)
    fitted = experiments.fit_mf(train, test, sizes, 2, 0, batch_size=16, lr=0.05)
    torch.manual_seed(0)
    net = d2l.MF(30, *sizes)
    *triples, _ = d2l.load_data_ml100k(train, *sizes)
    train_iter = d2l.load_array(triples, 16, seed=0, last_batch="rollover")
    trainer = torch.optim.Adam(net.parameters(), lr=0.05, weight_decay=1e-5)
    for _ in range(2):
        for users, items, scores in train_iter:
            trainer.zero_grad()
            (((net(users, items) - scores) ** 2).mean() / 2).backward()
            trainer.step()
    users, items, scores, _ = d2l.load_data_ml100k(test, *sizes)
    with torch.no_grad():
        rmse = d2l.rmse(net(users, items), scores)
    assert fitted.history["test_rmse"].iloc[-1] == pytest.approx(rmse, abs=1e-5)


def test_with_mean_mf_starts_at_the_mean():
    for with_mean, start in ((False, 0), (True, 3)):
        fitted = experiments.fit_mf(TRAIN, None, SIZES, 1, 0, lr=1e-9, with_mean=with_mean)
        assert (fitted.predict(ASKED) - start).abs().max() < 0.1


def test_linear_autoencoder_is_ridge_on_the_other_items(ratings):
    """The oracle solves each item's regression as written, over the users who rated it."""
    data, *sizes = ratings
    fitted = fit_linear_autoencoder(data, None, sizes, penalty=2.0, damping=5.0)
    biases = experiments.fit_biases(data, None, sizes, damping=5.0).predict
    rest = np.zeros(sizes)
    rest[data["user_id"] - 1, data["item_id"] - 1] = data["rating"] - biases(data).numpy()
    item = 4
    who = data.loc[data["item_id"] == item + 1, "user_id"].to_numpy() - 1
    others = np.delete(rest, item, axis=1)
    weights = np.linalg.solve(
        others[who].T @ others[who] + 2.0 * np.eye(sizes[1] - 1), others[who].T @ rest[who, item]
    )
    asked = pd.DataFrame({"user_id": np.arange(sizes[0]) + 1, "item_id": item + 1})
    expected = biases(asked).numpy() + others @ weights
    assert fitted.predict(asked).numpy() == pytest.approx(expected, abs=1e-5)
    assert np.ptp(others @ weights) > 0.1
