"""Models of your own ratings: of any scale, ids and order of rows, and in complete files."""

import os
import re

import numpy as np
import pandas as pd
import pytest
import torch

from autorec_d2l import custom
from autorec_d2l.custom import model as model_module
from autorec_d2l.custom import reader
from autorec_d2l.custom.fitting import weights_for
from autorec_d2l.custom.report import compare_to_baselines, format_comparison, format_report

SMALL = {"num_epochs": 3, "verbose": False}
LONG = {"num_epochs": 30, "verbose": False}


def made_up(low=1.0, high=5.0, num_users=80, num_items=40, num_rows=1600):
    """Ratings with a taste of one dimension, on five steps of a scale; ids are text."""
    generator = np.random.default_rng(0)
    users, items = divmod(generator.permutation(num_users * num_items)[:num_rows], num_items)
    taste = np.sin(users * 1.7) * np.cos(items * 2.3)
    stars = low + np.round((taste + 1) / 2 * 4) / 4 * (high - low)
    return pd.DataFrame({"user": users, "item": items, "rating": stars}).astype(
        {"user": str, "item": str}
    )


def read(table, **options):
    return custom.read_ratings(table, verbose=False, **options)


@pytest.fixture(scope="module")
def fitted():
    return custom.fit(read(made_up()), **LONG)


def test_stretched_stars_give_the_same_rmse_and_predictions():
    """Also where a rating is 0 or below."""
    data, stretched = made_up(), made_up(-10, 10)
    models = [custom.fit(read(table), **SMALL) for table in (data, stretched)]
    plain, other = (model.report["test"] for model in models)
    for name in ("model", "mean", "biases"):
        assert other[name] / 5 == pytest.approx(plain[name], abs=1e-5)
    before, after = (model.predict(data)["prediction"].to_numpy() for model in models)
    assert 1 + (after + 10) / 5 == pytest.approx(before, abs=1e-5)


def test_order_of_rows_and_names_of_ids_do_not_change_the_model(fitted, tmp_path, monkeypatch):
    data = made_up()
    shuffled = data.sample(frac=1, random_state=0)
    renamed = shuffled.assign(user="u" + shuffled["user"], item="x" + shuffled["item"])
    monkeypatch.setattr(reader, "CHUNK", 100)
    table = tmp_path / "renamed.csv"  # the new names sort as the old ones
    renamed.to_csv(table, index=False)
    model = custom.fit(read(table), **LONG)
    assert model.report["test"] == pytest.approx(fitted.report["test"])
    predictions = model.predict(table)["prediction"].set_axis(shuffled.index).sort_index()
    assert predictions.to_numpy() == pytest.approx(fitted.predict(data)["prediction"])
    other = custom.fit(read(data), **SMALL, seed=1)
    assert other.report["test"]["mean"] != fitted.report["test"]["mean"]


def test_fitting_leaves_the_global_random_state():
    ratings, states = read(made_up()), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state(), np.random.get_state()[1].tolist()
        custom.fit(ratings, **SMALL)
        assert torch.equal(before[0], torch.get_rng_state())
        assert before[1] == np.random.get_state()[1].tolist()
        states.append(torch.rand(3))
    assert not torch.equal(*states)


def test_a_file_gives_the_model_back_without_unpickling(fitted, tmp_path):
    fitted.save(tmp_path / "model.pt")
    model = custom.load(tmp_path / "model.pt")
    table = made_up()
    assert model.predict(table).equals(fitted.predict(table))
    assert model.recommend("7").equals(fitted.recommend("7"))
    assert (model.report, model.weights) == (fitted.report, fitted.weights)


def test_other_files_are_refused(fitted, tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    fitted.save(path)
    whole = path.read_bytes()
    changed = whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:]
    (tmp_path / "changed").write_bytes(changed)
    torch.save({"format": "autorec_d2l model", "version": 2}, tmp_path / "hollow")
    torch.save(os.system, tmp_path / "pickle")
    state = torch.load(path, weights_only=True)
    torch.save(state | {"users": (["1"], "object")}, tmp_path / "shapes")
    for name in ("changed", "hollow", "pickle", "shapes"):
        with pytest.raises(ValueError, match=rf"{name} is not a complete model"):
            custom.load(tmp_path / name)
    monkeypatch.setattr("autorec_d2l.custom.model.VERSION", 0)
    with pytest.raises(ValueError, match=r"is a model of version 2, this library reads version 0"):
        custom.load(path)
    with pytest.raises(FileNotFoundError, match="none"):
        custom.load(tmp_path / "none")


def test_a_failed_save_leaves_the_old_model(fitted, tmp_path, monkeypatch):
    fitted.save(tmp_path / "model.pt")

    def save_half(state, file):
        file.write(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", save_half)
    with pytest.raises(KeyboardInterrupt):
        fitted.save(tmp_path / "model.pt")
    assert custom.load(tmp_path / "model.pt").recommend("7").equals(fitted.recommend("7"))
    assert os.listdir(tmp_path) == ["model.pt"]


def test_recommendations_are_items_that_a_user_has_not_rated(fitted):
    table = made_up()
    seen = set(table.loc[table["user"] == "7", "item"])
    best = fitted.recommend("7", n=40)
    assert set(best["item"]) == set(table["item"]) - seen
    assert best["prediction"].is_monotonic_decreasing
    assert len(fitted.recommend(ratings={})) == 10
    with pytest.warns(UserWarning, match="1 of 2 ratings are of unknown items"):
        fitted.recommend(ratings={"3": 5, "tea": 1})


def test_predictions_for_unknown_ids_are_those_of_the_biases(fitted):
    pairs = pd.DataFrame({"user": ["7", "new", "7", "new"], "item": ["3", "3", "tea", "tea"]})
    with pytest.warns(UserWarning, match="3 of 4 rows have an unknown user or item"):
        stars = fitted.predict(pairs)["prediction"].to_numpy()
    assert stars[3] == pytest.approx(made_up()["rating"].mean(), abs=1e-5)
    assert len(set(stars)) == 4
    assert ((stars >= 1) & (stars <= 5)).all()


def test_pairs_twice_and_in_blocks_of_users(fitted, monkeypatch):
    pairs = made_up()[["user", "item"]]
    stars = fitted.predict(pairs)["prediction"].to_numpy()
    monkeypatch.setattr("autorec_d2l.custom.model.NUM_ROWS", 3)
    vars(fitted).pop("_codes")
    again = fitted.predict(pd.concat([pairs[::-1], pairs]))["prediction"]
    assert again.to_numpy() == pytest.approx(np.concatenate([stars[::-1], stars]), abs=1e-5)


def test_fitted_pairs_are_not_evaluated(fitted):
    every = pd.DataFrame([(str(u), str(i)) for u in range(80) for i in range(40)])
    every = every.set_axis(["user", "item"], axis=1).assign(rating=2.0)
    new = every.merge(made_up()[["user", "item"]], how="outer", indicator=True)
    new = new[new["_merge"] == "left_only"]
    alone = fitted.evaluate(new)
    assert alone["num_ratings"] == 1600
    spelled = every.assign(user=every["user"].astype(int), item=" " + every["item"])
    with pytest.warns(
        UserWarning, match=r"fitted to 1,600 of these 3,200 pairs, which are left out"
    ):
        assert fitted.evaluate(spelled) == pytest.approx(alone)
    with pytest.warns(UserWarning, match="80 of 80 rows have an unknown"):
        assert fitted.evaluate(every[::40].assign(item="tea"))["num_ratings"] == 80
    with pytest.raises(ValueError, match="fitted to 1,600 of these 1,600 pairs: evaluate it on"):
        fitted.evaluate(made_up().assign(rating=1.5))


TWICE = pd.DataFrame({"item": ["3", "9", "3"], "rating": [5, 2, 1]})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.recommend("nobody"), "does not know the user 'nobody'"),
        (lambda model: model.similar("tea"), "does not know the item 'tea'"),
        (lambda model: model.recommend(), "give either a user, or the ratings of a new one"),
        (lambda model: model.recommend(ratings={"3": 6}), "numbers from 1 to 5, got 6"),
        (lambda model: model.recommend(ratings=TWICE), "an item occurs twice"),
    ],
)
def test_what_cannot_be_answered_is_one_error(fitted, call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call(fitted)


def test_the_smallest_tables():
    for table in (
        made_up()[lambda data: data["user"] == "7"],
        made_up()[lambda data: data["item"] == "7"],
    ):
        model = custom.fit(read(table), **SMALL)
        assert np.isfinite(model.predict(table)["prediction"]).all()
    model = custom.fit(read(made_up().assign(rating=4), scale=(1, 5)), **SMALL)
    assert not model.networks
    assert not model.report["test"]["beats_baselines"]
    assert model.predict(made_up())["prediction"].to_numpy() == pytest.approx(4)


def test_a_fit_resumes_from_its_checkpoint_and_is_the_same(fitted, tmp_path):
    run = LONG | {"checkpoint": tmp_path / "run"}
    first, again = (custom.fit(read(made_up()), **run) for _ in range(2))
    for model in (first, again):
        assert model.weights == fitted.weights
        for name, net in fitted.networks.items():
            for part, tensor in net.state_dict().items():
                assert torch.equal(tensor, model.networks[name].state_dict()[part])
    names = [f"run.{name}.{stage}" for name in ("item", "user") for stage in ("all", "valid")]
    assert sorted(os.listdir(tmp_path)) == names


def test_a_gain_is_one_over_both_baselines_and_beyond_chance():
    ratings = np.tile([1.0, 5.0], 100)
    baselines = {"mean": np.full(200, 3.0), "biases": 6 - ratings}
    bad = compare_to_baselines(ratings, np.full(200, 3.5), **baselines)
    assert "The model is not better than the baselines beyond chance." in format_comparison(bad)
    good = compare_to_baselines(ratings, (3 + ratings) / 2, **baselines)
    assert "better than the global mean by 50.0%" in format_comparison(good)
    noise = np.random.default_rng(0).normal(0, 0.1, 200)
    chance = compare_to_baselines(ratings, 3 + noise + (ratings - 3) * 0.001, **baselines)
    assert not chance["beats_baselines"]


def test_shuffled_ratings_leave_only_the_baselines():
    data = made_up()
    data["rating"] = np.random.default_rng(1).permutation(data["rating"])
    model = custom.fit(read(data), **LONG)
    assert not model.networks
    assert all(set(weights) <= {"mean", "biases"} for weights in model.weights.values())
    assert "not better than the baselines" in format_report(model.report)
    with pytest.raises(ValueError, match="no network, so it knows no similar items"):
        model.similar("7")


def test_weights_prefer_what_is_right():
    generator = np.random.default_rng(0)
    ratings = generator.integers(1, 6, 2000).astype(float)
    noise = {name: torch.tensor(generator.normal(0, 1, 2000)) for name in "abc"}
    truth = torch.tensor(ratings)
    stars = {"mean": torch.full_like(truth, 3.0), "biases": truth + noise["a"]}
    stars |= {"user": truth + noise["b"] / 2, "item": truth + noise["c"] / 2}
    weights = weights_for(stars, ratings)
    # Independent errors of variance 1, 1/4 and 1/4: weights in inverse proportion.
    assert weights["user"] == pytest.approx(4 / 9, abs=0.05)
    assert weights["item"] == pytest.approx(4 / 9, abs=0.05)
    assert sum(weights.values()) == pytest.approx(1)
    worse = weights_for(stars | {"user": 6 - truth, "item": stars["mean"]}, ratings)
    assert set(worse) <= {"mean", "biases"}


def test_predictions_are_the_weighted_members(fitted):
    """Each network's predictions at cells are those of its forward pass."""
    users, items = np.divmod(np.arange(80 * 40), 40)
    members = fitted.members(["mean", "biases", *fitted.networks], users, items)
    for name, net in fitted.networks.items():
        rows = model_module.orient(fitted.matrix, name)
        everywhere = torch.ones(rows.shape).to_sparse_csr()
        with torch.no_grad():
            dense = net.eval()(rows[:][0], everywhere).view(rows.shape)
        dense = dense if name == "user" else dense.T
        assert members[name].numpy() == pytest.approx(dense.flatten().numpy(), abs=1e-5)
    weights = fitted.weights["known"]
    mixed = sum(weight * members[name] for name, weight in weights.items()).clamp(1, 5)
    names = {"user": fitted.users.values[users], "item": fitted.items.values[items]}
    pairs = pd.DataFrame(names)
    assert fitted.predict(pairs)["prediction"].to_numpy() == pytest.approx(mixed, abs=1e-5)
    every = pd.concat(fitted.recommend_all(n=3))
    for user in ("7", "13"):
        best = every[every["user"] == user].drop(columns="user").reset_index(drop=True)
        assert best["item"].equals(fitted.recommend(user, n=3)["item"])
        assert best["prediction"].to_numpy() == pytest.approx(
            fitted.recommend(user, n=3)["prediction"]
        )


def test_new_users_and_items_are_answered_by_those_who_can(fitted):
    """Somebody with the ratings of a known user gets that row of the user-based network."""
    table = made_up()
    for kind, other, call in (
        ("user", "item", lambda given: fitted.recommend(ratings=given, n=40, min_ratings=0)),
        ("item", "user", fitted.predict_new_item),
    ):
        given = table[table[kind] == "7"].set_index(other)["rating"].to_dict()
        answer = call(given).set_index(other)["prediction"]
        ids = {"user": fitted.users, "item": fitted.items}
        places = ids[other].indices(answer.index)
        pairs = [np.repeat(ids[kind].indices(["7"]), len(places)), places]
        weights = fitted.weights[f"new {kind}"]
        members = fitted.members(list(weights), *(pairs if kind == "user" else pairs[::-1]))
        mixed = sum(weight * members[name] for name, weight in weights.items()).clamp(1, 5)
        assert answer.to_numpy() == pytest.approx(mixed.numpy(), abs=0.05)


def test_somebody_new_who_likes_everything_is_predicted_more():
    model = custom.fit(read(made_up()), members=["biases"], **SMALL)
    model.weights["new user"] = model.weights["new item"] = {"biases": 1.0}
    for other, call in (
        ("item", lambda given: model.recommend(ratings=given, n=40, min_ratings=0)),
        ("user", model.predict_new_item),
    ):
        low, high = (
            call({name: stars for name in ("1", "2", "3")}).set_index(other)["prediction"]
            for stars in (1, 5)
        )
        # Three ratings that differ by 4 stars, damped by five.
        assert (high - low).dropna().median() == pytest.approx(3 * 4 / (3 + 5), abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": ("user", "magic")}, "members must be some of biases, user, item, got"),
        ({"members": ()}, "members must be some of"),
        ({"by_time": True}, "by_time needs a time for every rating"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        custom.fit(read(made_up()), **SMALL | options)


def test_the_latest_ratings_are_the_test():
    data = made_up().assign(time=range(1600))
    late = data.assign(rating=np.where(data["time"] < 1440, data["rating"], 1.0))
    model = custom.fit(read(late), by_time=True, members=["biases"], **SMALL)
    assert model.report["test"]["num_ratings"] == 160
    assert (
        model.report["test"]["mean"] > 1.2 * custom.fit(read(late), **SMALL).report["test"]["mean"]
    )
    assert not model.networks


def test_cross_validation_tests_every_rating_once():
    table = custom.cross_validate(read(made_up()), 4, members=["biases"], verbose=False)
    assert table["num_ratings"].tolist() == [400] * 4
    assert (table["model"] <= table["mean"] + 0.05).all()
    with pytest.raises(ValueError, match="k must be an integer, at least 2"):
        custom.cross_validate(read(made_up()), 1)
