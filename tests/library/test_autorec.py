"""fit_autorec follows its settings; the dense model and a written-out loop are its oracles."""

import inspect

import numpy as np
import pandas as pd
import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l import experiments, sparse
from autorec_d2l.data.rating_scale import STARS, RatingScale
from autorec_d2l.experiments.networks import initialise


def fit(ratings, num_epochs=2, **settings):
    train, test = d2l.split_data_ml100k(*ratings)
    settings = {"num_hidden": 4, "batch_size": 5, "lr": 0.05, **settings}
    return experiments.fit_autorec(train, test, ratings[1:], num_epochs, 0, **settings), train, test


@pytest.mark.parametrize(("user_based", "subtract_means"), [(False, False), (True, True)])
def test_predictions_come_in_the_order_of_the_table(ratings, user_based, subtract_means):
    model, _, test = fit(ratings, user_based=user_based, subtract_means=subtract_means)
    assert not (test["item_id"].diff().dropna() >= 0).all()  # in neither order
    assert not (test["user_id"].diff().dropna() >= 0).all()
    single = [model.predict(test.iloc[i : i + 1]).item() for i in range(len(test))]
    assert model.predict(test).tolist() == pytest.approx(single, abs=1e-6)
    assert np.std(single) > 1e-3
    errors = model.predict(test).numpy() - test["rating"]
    assert (errors**2).mean() ** 0.5 == pytest.approx(model.history["test_rmse"].iloc[-1])


@pytest.mark.parametrize(
    ("output", "init"), [("identity", "mean"), ("bounded", "mean"), ("relu", "scaled")]
)
def test_training_starts_at_the_mean_rating(ratings, output, init):
    more = {"more_hidden": [3], "dropout": 0.0}
    model, train, _ = fit(ratings, 1, lr=0.0, wd=0.0, output=output, init=init, **more)
    away = abs(float(model.predict(train).mean()) - train["rating"].mean())
    assert away < (0.1 if init == "mean" else 1.0)


def test_scaled_weights_have_the_variance_of_their_number_of_inputs():
    pairs = torch.cartesian_prod(torch.arange(3), torch.arange(900))
    matrix = sparse.RatingMatrix(*pairs.T, torch.full((2700,), 4.0), (3, 900))
    net = sparse.SparseAutoRec(400, 900, more_hidden=[100])
    initialise(net, "scaled", matrix)
    for layer, inputs in ((net.encoder, 900), (net.more[0], 400), (net.decoder, 100)):
        assert layer.weight.std().item() == pytest.approx(inputs**-0.5, rel=0.02)
    assert net.decoder.bias.eq(4).all()


@pytest.mark.parametrize("wrong", [{"activation": "swish"}, {"output": "clip"}, {"init": "xavier"}])
def test_unknown_names_are_refused(ratings, wrong):
    with pytest.raises((KeyError, ValueError), match=next(iter(wrong.values()))):
        fit(ratings, **wrong)


@pytest.mark.parametrize(("one_cycle", "decay_biases"), [(True, False), (False, True)])
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
    batches = d2l.load_array((inter,), 5, seed=0, last_batch="rollover")
    if one_cycle:  # its constructor already changes the rate
        cycle = torch.optim.lr_scheduler.OneCycleLR(trainer, 0.05, 3 * 15 // 5)
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


def test_one_cycle_ends_with_the_last_step_where_rows_are_rolled_over(ratings):
    """15 rows in batches of 4 for 3 epochs are 3, 4 and 4 batches: 11 steps, not 3 x 3."""
    model, *_ = fit(ratings, 3, batch_size=4, one_cycle=True)
    assert len(model.history) == 3


def test_a_table_with_fewer_rows_than_a_batch_is_one_batch(ratings):
    small, large = (fit(ratings, 2, batch_size=size)[0].history for size in (15, 256))
    assert small["train_rmse"].tolist() == pytest.approx(large["train_rmse"].tolist())


def test_d2ls_settings_are_the_defaults():
    names = {
        "AutoRec": [experiments.fit_autorec, experiments.make_autorec],
        "MF": [experiments.fit_mf],
    }
    for name, functions in names.items():
        defaults = {}
        for function in reversed(functions):
            for parameter in inspect.signature(function).parameters.values():
                defaults[parameter.name] = parameter.default
        settings = dict(experiments.D2L[name])
        assert settings.pop("num_epochs") == (20 if name == "MF" else 25)
        assert settings == {key: defaults[key] for key in settings}


@pytest.mark.parametrize("fit", [experiments.fit_autorec, experiments.fit_mf])
def test_another_scale_is_refused_unless_it_is_given(ratings, fit):
    data, *sizes = ratings
    halves = data.assign(rating=data["rating"] / 2)
    with pytest.raises(ValueError, match="scale"):
        fit(halves, None, sizes, 1, 0)
    fitted = fit(halves, halves, sizes, 2, 0, scale=RatingScale(0.5, 5, 0.5))
    assert fitted.history["test_rmse"].iloc[-1] == pytest.approx(
        experiments.score(fitted.predict(halves), halves)["rmse"]
    )


def test_a_rating_of_0_is_a_rating_for_mf(ratings):
    data, *sizes = ratings
    zeros = data.assign(rating=data["rating"] - 1)
    scale = RatingScale(0, 4)
    fitted = experiments.fit_mf(zeros, zeros, sizes, 1, 0, scale=scale)
    assert fitted.history["test_rmse"].item() == pytest.approx(
        experiments.score(fitted.predict(zeros), zeros)["rmse"]
    )


def test_score_by_hand():
    table = pd.DataFrame({"rating": [5, 1, 4]})
    stars = torch.tensor([6.0, 1.0, 2.0])
    assert experiments.score(stars, table) == pytest.approx({"rmse": (5 / 3) ** 0.5, "mae": 1.0})
    clipped = experiments.score(stars, table, clip=STARS)
    assert clipped == pytest.approx({"rmse": (4 / 3) ** 0.5, "mae": 2 / 3})
    with pytest.raises(FloatingPointError, match="1 predictions are not finite"):
        experiments.score(torch.tensor([1.0, 2.0, torch.inf]), table, clip=STARS)


def test_warm_start_imitates_the_shallow_network():
    """The first predictions of the deep network are, nearly, those of the shallow one."""
    generator = torch.Generator().manual_seed(0)
    tastes = torch.randn(200, 2, generator=generator) @ torch.randn(2, 30, generator=generator)
    rows, columns = (torch.rand(200, 30, generator=generator) < 0.5).nonzero(as_tuple=True)
    stars = (3 + tastes).round().clamp(1, 5)[rows, columns]
    matrix = sparse.RatingMatrix(rows, columns, stars, (200, 30))
    predicted = {}
    for name in ("warm", "mean", "scaled"):
        torch.manual_seed(0)
        net = sparse.SparseAutoRec(8, 30, more_hidden=[6, 8], dropout=0.0)
        if name == "warm":
            experiments.warm_start(net, matrix, lr=0.05, batch_size=10, num_epochs=20)
        else:
            initialise(net, name, matrix)
        with d2l.evaluating(net):
            predicted[name] = net(matrix[:][0])
    rmse = {name: d2l.rmse(of, matrix.values) for name, of in predicted.items()}
    assert rmse["warm"] < 0.8 * min(rmse["mean"], rmse["scaled"])


def test_ids_with_gaps_are_reported(ratings):
    """Empty rows fill the batches: the same films under other numbers ended 0.06 stars worse."""
    data, num_users, num_items = ratings
    sizes = num_users, 3 * num_items
    with pytest.warns(UserWarning, match="only 15 of 45 items have a rating; .*factorize"):
        experiments.fit_autorec(data.assign(item_id=3 * data["item_id"]), None, sizes, 1, 0)
