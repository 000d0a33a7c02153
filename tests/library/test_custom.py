"""Models of one's own ratings: any scale, any ids, files that are whole, and the commands."""

import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from autorec_d2l import __main__ as command
from autorec_d2l import custom
from autorec_d2l.custom.report import judge, verdict

SMALL = {"num_hidden": 8, "num_epochs": 3, "verbose": False}


def made_up(low=1.0, high=5.0, num_users=40, num_items=30, num_rows=500):
    """Ratings with a taste of one dimension, on whole steps of a scale, as a table of words."""
    generator = np.random.default_rng(0)
    users, items = divmod(generator.permutation(num_users * num_items)[:num_rows], num_items)
    taste = np.sin(users * 1.7) * np.cos(items * 2.3)
    stars = low + np.round((taste + 1) / 2 * 4) / 4 * (high - low)
    return pd.DataFrame({"user": users, "item": items, "rating": stars}).astype(
        {"user": str, "item": str}
    )


def read(table, **words):
    return custom.read_ratings(table, verbose=False, **words)


@pytest.fixture(scope="module")
def fitted():
    return custom.fit(read(made_up()), **SMALL | {"num_epochs": 30, "lr": np.float64(0.002)})


@pytest.mark.parametrize("ends", [(0.5, 5), (0, 10), (-10, 10)])
def test_stretched_stars_of_ml100k_give_the_same_rmse_and_predictions(ml100k, ends):
    """Through a file, as a reader would: half stars and below 0 are ratings like others."""
    data, low, high = ml100k[0], *ends
    stretched = data.assign(rating=low + (data["rating"] - 1) * (high - low) / 4)
    models = [custom.fit(read(table), **SMALL) for table in (data, stretched)]
    plain, other = (model.report["valid"] for model in models)
    unit = (high - low) / 4
    for name in ("model", "mean", "biases"):
        assert other[name] / unit == pytest.approx(plain[name], abs=1e-5)
    before, after = (model.predict(data[:500])["prediction"].to_numpy() for model in models)
    assert 1 + (after - low) / unit == pytest.approx(before, abs=1e-5)
    assert plain["model"] < plain["mean"]


def test_other_names_for_the_same_ids_give_the_same_predictions(ml100k):
    data = ml100k[0].sample(20_000, random_state=0)
    names = np.random.default_rng(0).permutation(2000)
    renamed = data.assign(user_id="u" + pd.Series(names[data["user_id"]], data.index).astype(str))
    renamed["item_id"] = names[data["item_id"]] * 10**15
    models = [custom.fit(read(table), **SMALL) for table in (data, renamed)]
    first, second = (
        model.predict(table) for model, table in zip(models, (data, renamed), strict=True)
    )
    assert (first["prediction"] == second["prediction"]).all()
    assert second["item"].tolist() == renamed["item_id"].tolist()
    gaps = data.assign(item_id=data["item_id"] * 20)  # ids with gaps cost nothing
    assert custom.fit(read(gaps), **SMALL).report == models[0].report


def test_ratings_below_0_are_learned_and_not_their_absolute_values():
    table = made_up(-10, 10)
    rest = {"dropout": 0, "input_dropout": 0, "lr": 0.01, "valid_ratio": 0}
    model = custom.fit(read(table), **SMALL | {"num_epochs": 60}, **rest)
    predictions = model.predict(table)["prediction"]
    error = ((predictions - table["rating"]) ** 2).mean() ** 0.5
    assert error < 0.7 * table["rating"].std()
    assert predictions.between(-10, 10).all()


def test_a_file_gives_the_model_back_without_unpickling(fitted, tmp_path):
    fitted.save(tmp_path / "model.pt")
    model = custom.load(tmp_path / "model.pt")
    table = made_up()
    assert model.predict(table).equals(fitted.predict(table))
    assert model.recommend("7").equals(fitted.recommend("7"))
    assert (model.report, model.settings) == (fitted.report, fitted.settings)
    assert torch.load(tmp_path / "model.pt", weights_only=True)["version"] == 1


def test_other_files_are_refused(fitted, tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    fitted.save(path)
    whole = path.read_bytes()
    files = {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"user,item,rating\n",
        "changed": whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:],
    }
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
    torch.save({"weight": torch.ones(2)}, tmp_path / "weights")
    torch.save({"format": "autorec_d2l model", "version": 1}, tmp_path / "hollow")
    torch.save(os.system, tmp_path / "pickle")
    for name in [*files, "weights", "hollow", "pickle"]:
        with pytest.raises(ValueError, match=rf"{name} is no (model|whole model)"):
            custom.load(tmp_path / name)
    monkeypatch.setattr("autorec_d2l.custom.model.VERSION", 0)
    with pytest.raises(ValueError, match=r"is a model of version 1, this library reads version 0"):
        custom.load(path)
    with pytest.raises(FileNotFoundError, match="none"):
        custom.load(tmp_path / "none")


SAVE = """
import sys, resource
from autorec_d2l import custom
model = custom.load(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # as a full disk
model.save(sys.argv[1])
"""


def test_a_full_disk_leaves_the_old_model_whole(fitted, tmp_path):
    fitted.save(tmp_path / "model.pt")
    before = (tmp_path / "model.pt").read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", SAVE, tmp_path / "model.pt"], capture_output=True, text=True
    )
    assert re.search(r"OSError: .*model\.pt could not be written", done.stderr)
    assert (tmp_path / "model.pt").read_bytes() == before
    assert os.listdir(tmp_path) == ["model.pt"]


KILLED = """
import os, sys, torch
from autorec_d2l import custom
model = custom.load(sys.argv[1])
save = torch.save
def half(state, file):
    file.write(b"half of it"); file.flush(); os.kill(os.getpid(), 9)
torch.save = half
model.save(sys.argv[1])
"""


def test_a_kill_during_saving_leaves_the_old_model_whole(fitted, tmp_path):
    fitted.save(tmp_path / "model.pt")
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "model.pt"])
    assert done.returncode == -9
    assert custom.load(tmp_path / "model.pt").recommend("7").equals(fitted.recommend("7"))
    fitted.save(tmp_path / "model.pt")
    assert os.listdir(tmp_path) == ["model.pt"]


def test_recommendations_are_what_somebody_has_not_rated(fitted):
    table = made_up()
    seen = set(table.loc[table["user"] == "7", "item"])
    advice = fitted.recommend("7", n=30)
    assert set(advice["item"]) == set(table["item"]) - seen
    assert advice["prediction"].is_monotonic_decreasing
    own_row = table[table["user"] == "7"].set_index("item")["rating"]
    assert fitted.recommend(ratings=own_row.to_dict(), n=30).equals(advice)  # a user is a row
    assert len(fitted.recommend(ratings={})) == 10
    with pytest.warns(UserWarning, match="1 of 2 ratings are left out"):
        fitted.recommend(ratings={"3": 5, "tea": 1})


def test_unknown_ids_get_what_is_known_of_the_other_one(fitted):
    pairs = pd.DataFrame({"user": ["7", "new", "7", "new"], "item": ["3", "3", "tea", "tea"]})
    with pytest.warns(UserWarning, match="3 of 4 rows have a user or an item that the model"):
        stars = fitted.predict(pairs)["prediction"].to_numpy()
    assert stars[3] == pytest.approx(made_up()["rating"].mean(), abs=1e-5)
    assert len(set(stars)) == 4
    assert ((stars >= 1) & (stars <= 5)).all()


def test_pairs_without_a_rating_and_twice(fitted):
    pairs = pd.DataFrame({"user": ["7"] * 30, "item": map(str, range(30))})
    stars = fitted.predict(pairs)["prediction"]
    for rating in (0, float("nan"), 1):
        assert fitted.predict(pairs.assign(rating=rating))["prediction"].equals(stars)
    again = fitted.predict(pd.concat([pairs[::-1], pairs]))["prediction"]
    assert again.tolist() == [*stars[::-1], *stars]


TWICE = pd.DataFrame({"item": ["3", "9", "3"], "rating": [5, 2, 1]})


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda model: model.recommend("nobody"), "knows 40 users, and 'nobody' is none of them"),
        (lambda model: model.recommend(), "name a user, or give the ratings of somebody new"),
        (lambda model: model.recommend("7", n=0), "n must be a whole number"),
        (lambda model: model.recommend(ratings={"3": 6}), "numbers from 1 to 5, got 6"),
        (lambda model: model.recommend(ratings=TWICE), "an item is rated twice"),
        (lambda model: custom.fit(read(made_up()), depth=3), "settings are num_hidden"),
        (lambda model: custom.fit(read(made_up(num_rows=5))), "5 ratings are too few to hold"),
    ],
)
def test_what_cannot_be_answered_is_one_error(fitted, call, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        call(fitted)


def test_the_smallest_tables():
    one_user = made_up()[lambda data: data["user"] == "7"]
    assert (
        len(custom.fit(read(one_user), valid_ratio=0, **SMALL).recommend("7", min_ratings=0)) == 0
    )
    constant = made_up().assign(rating=4)
    model = custom.fit(read(constant, scale=(1, 5)), **SMALL)
    assert not model.report["valid"]["is_worth"]
    one = pd.DataFrame({"user": ["a"], "item": ["x"], "rating": [2]})
    model = custom.fit(read(one, scale=(0, 2)), valid_ratio=0, **SMALL)
    assert 0 <= model.predict(one)["prediction"][0] <= 2


def test_a_fit_goes_on_from_its_checkpoint_and_is_the_same(fitted, tmp_path):
    run = SMALL | {"num_epochs": 30, "checkpoint": tmp_path / "run"}
    first, again = (custom.fit(read(made_up()), **run) for _ in range(2))
    for model in (first, again):
        for name, tensor in fitted.net.state_dict().items():
            assert torch.equal(tensor, model.net.state_dict()[name])
    assert sorted(os.listdir(tmp_path)) == ["run.1", "run.2"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with a table and a model of it."""
    monkeypatch.chdir(tmp_path)
    made_up().to_csv("ratings.csv", index=False)
    command.main(["fit", "ratings.csv", "--out", "model.pt", "--epochs", "30"])
    return tmp_path


def test_the_commands(folder, capsys):
    pd.DataFrame({"movieId": range(30), "title": ["A\x1b[2J"] + ["B"] * 29}).to_csv("titles.csv")
    command.main(["recommend", "model.pt", "--user", "7", "-n", "30", "--items", "titles.csv"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["predicted", "item", "title"]
    assert {line.split()[-1] for line in lines[1:]} <= {"B", "A?[2J"}
    made_up()[["item", "rating"]][:5].drop_duplicates("item").to_csv("mine.csv", index=False)
    command.main(["recommend", "model.pt", "--ratings", "mine.csv", "-n", "3"])
    assert len(capsys.readouterr().out.splitlines()) == 4
    command.main(["predict", "model.pt", "ratings.csv", "--out", "stars.csv"])
    stars = pd.read_csv("stars.csv", dtype={"user": str, "item": str})
    assert stars[["user", "item"]].equals(made_up()[["user", "item"]])
    command.main(["evaluate", "model.pt", "ratings.csv"])
    out = capsys.readouterr().out
    error = ((stars["prediction"] - made_up()["rating"]) ** 2).mean() ** 0.5
    assert float(re.search(r"the model +([\d.]+)", out)[1]) == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["recommend", "model.pt", "--user", "nobody"], 1, "'nobody' is none of them"),
        (["recommend", "ratings.csv", "--user", "7"], 1, "ratings.csv is no model"),
        (["fit", "ratings.csv", "--out", "no/folder/m.pt"], 1, "--out must name a file"),
        (["fit", ".", "--out", "m.pt"], 1, "is a folder"),
        (["fit", "ratings.csv", "--out", "m.pt", "--columns", "user"], 1, "--columns takes"),
        (["evaluate", "model.pt"], 2, "the following arguments are required: test"),
    ],
)
def test_a_command_that_fails_is_one_line(folder, words, code, said):
    done = subprocess.run(
        [sys.executable, "-m", "autorec_d2l", *words], capture_output=True, text=True
    )
    assert done.returncode == code
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (folder / "m.pt").exists()


def test_help_reads_like_a_manual(capsys):
    for name in ("fit", "recommend", "predict", "evaluate"):
        with pytest.raises(SystemExit) as stop:
            command.main([name, "--help"])
        assert stop.value.code == 0
        out = capsys.readouterr().out
        assert out.startswith(f"usage: python -m autorec_d2l {name}")
        assert "CSV, TSV" in out


def test_better_than_the_biases_is_not_enough_where_the_mean_is_better():
    ratings = np.tile([1.0, 5.0], 100)
    guesses = {"mean": np.full(200, 3.0), "biases": 6 - ratings}
    assert not judge(ratings, np.full(200, 3.5), **guesses)["is_worth"]
    good = judge(ratings, (3 + ratings) / 2, **guesses)
    assert good["is_worth"]
    assert "better than the mean rating by 50.0%" in verdict(good)


def test_a_model_that_is_worth_nothing_is_said_to_be(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    noise = made_up().assign(
        rating=lambda data: data["rating"].sample(frac=1, random_state=0).array
    )
    noise.to_csv("noise.csv", index=False)
    command.main(["fit", "noise.csv", "--out", "m.pt", "--epochs", "5"])
    assert "The model is not worth anything on these ratings" in capsys.readouterr().out
