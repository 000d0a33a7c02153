"""The engine of the sweeps fits what its settings say; the dense model is its oracle."""

import numpy as np
import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l import fitting, sparse, study


def fit(ratings, num_epochs=2, **settings):
    train, test = d2l.split_data_ml100k(*ratings)
    settings = {"num_hidden": 4, "batch_size": 5, "lr": 0.05, **settings}
    return study.fit_autorec(train, test, ratings[1:], num_epochs, 0, **settings), train, test


@pytest.mark.parametrize("user_based", [False, True])
@pytest.mark.parametrize("centred", [False, True])
def test_predictions_come_in_the_order_of_the_table(ratings, user_based, centred):
    model, _, test = fit(ratings, user_based=user_based, centred=centred)
    assert not (test["item_id"].diff().dropna() >= 0).all()  # in neither order
    assert not (test["user_id"].diff().dropna() >= 0).all()
    single = [model.predict(test.iloc[i : i + 1]).item() for i in range(len(test))]
    assert model.predict(test).tolist() == pytest.approx(single, abs=1e-6)
    assert np.std(single) > 1e-3
    errors = model.predict(test).numpy() - test["rating"]
    assert (errors**2).mean() ** 0.5 == pytest.approx(model.history["test_rmse"].iloc[-1])


def test_defaults_are_those_of_d2l(ml100k):
    data, num_users, num_items = ml100k
    train, test = d2l.split_data_ml100k(data, num_users, num_items)
    history = study.fit_autorec(train, test, (num_users, num_items), 2, 0).history
    train_inter, test_inter = (
        d2l.load_data_ml100k(part, num_users, num_items)[3] for part in (train, test)
    )
    torch.manual_seed(0)
    net = d2l.AutoRec(500, num_users)
    dense = d2l.train_recsys_rating(
        net,
        d2l.load_array((train_inter,), 256),
        d2l.load_array((train_inter,), 1024, is_train=False),
        sparse.HalfSumOfSquares(256 * num_users),
        torch.optim.Adam(net.parameters(), lr=0.002, weight_decay=1e-5),
        2,
        [torch.device("cpu")],
        inter_mat=test_inter,
    )
    assert history["test_rmse"].tolist() == pytest.approx(dense["test_rmse"].tolist(), abs=1e-4)


@pytest.mark.parametrize("decoder", ["identity", "bounded", "relu"])
@pytest.mark.parametrize("init", ["mean", "scaled"])
def test_training_starts_at_the_mean_rating(ratings, decoder, init):
    more = {"more_hidden": [3], "dropout": 0.0}
    model, train, _ = fit(ratings, 1, lr=0.0, wd=0.0, decoder=decoder, init=init, **more)
    away = abs(float(model.predict(train).mean()) - train["rating"].mean())
    assert away < (0.1 if init == "mean" else 1.0)


def test_scaled_weights_have_the_variance_of_their_number_of_inputs():
    pairs = torch.cartesian_prod(torch.arange(3), torch.arange(900))
    matrix = sparse.RatingMatrix(*pairs.T, torch.full((2700,), 4.0), (3, 900))
    net = sparse.SparseAutoRec(400, 900, more_hidden=[100])
    study.initialise(net, "scaled", matrix)
    for layer, inputs in ((net.encoder, 900), (net.more[0], 400), (net.decoder, 100)):
        assert layer.weight.std().item() == pytest.approx(inputs**-0.5, rel=0.02)
    assert net.decoder.bias.eq(4).all()


def test_init_may_be_a_function(ratings):
    seen = []
    fit(ratings, init=lambda net, matrix: seen.append((type(net), matrix.shape)))
    assert seen == [(sparse.SparseAutoRec, (15, 12))]


@pytest.mark.parametrize("wrong", [{"activation": "swish"}, {"output": "clip"}, {"init": "xavier"}])
def test_unknown_names_are_refused(ratings, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong.values()))):
        fit(ratings, **wrong)


def test_a_quiet_training_is_silent_and_hands_ctrl_c_on(ratings, capfd, monkeypatch):
    fit(ratings)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    train = fitting.train_recsys_rating
    monkeypatch.setattr(fitting, "train_recsys_rating", lambda *a, **k: train(*a, **k).iloc[:-1])
    with pytest.raises(KeyboardInterrupt):
        fit(ratings)


@pytest.mark.parametrize("decay_biases", [True, False])
@pytest.mark.parametrize("one_cycle", [True, False])
def test_training_is_an_explicit_loop(ratings, one_cycle, decay_biases):
    settings = {"num_hidden": 4, "batch_size": 5, "lr": 0.05, "wd": 0.3, "dropout": 0.0}
    modes = {"one_cycle": one_cycle, "decay_biases": decay_biases}
    model, train, test = fit(ratings, 3, **settings, **modes)
    inter = d2l.load_data_ml100k(train, *ratings[1:])[3]
    torch.manual_seed(0)
    net = d2l.AutoRec(4, 12, dropout=0.0)
    weights = [net.encoder.weight, net.decoder.weight]
    biases = {"params": [net.encoder.bias, net.decoder.bias]}
    groups = [{"params": weights}, biases if decay_biases else biases | {"weight_decay": 0.0}]
    trainer = torch.optim.Adam(groups, lr=0.05, weight_decay=0.3)
    batches = d2l.load_array((inter,), 5, seed=0)
    if one_cycle:  # to make one already changes the rate
        cycle = torch.optim.lr_scheduler.OneCycleLR(trainer, 0.05, 3 * len(batches))
    for _ in range(3):
        for batch in batches:
            trainer.zero_grad()
            (((net(batch) - batch) ** 2).sum() / (2 * 5 * 12)).backward()
            trainer.step()
            if one_cycle:
                cycle.step()
    users, items, *_ = d2l.load_data_ml100k(test, *ratings[1:])
    expected = net.eval()(inter)[items, users]
    assert model.predict(test).tolist() == pytest.approx(expected.tolist(), abs=1e-5)
