"""The command line, ``python -m autorec_d2l``, called in the process of the test."""

import io
import os
import re
import subprocess
import sys

import pandas as pd
import pytest
import torch
from test_custom import made_up

import autorec_d2l as d2l
from autorec_d2l import cli, custom
from autorec_d2l.data import download


def columns(out):
    """Return the two lists of (stars, title) below the heading."""
    lines = out[out.index("rated highest") :].splitlines()[1:]
    pairs = ((line[:46].rstrip(), line[46:]) for line in lines)
    return (
        [tuple(cell.split("  ", 1)) for cell in column if cell]
        for column in zip(*pairs, strict=True)
    )


def test_a_short_run_in_a_process_and_the_same_again(ml100k, capsys):
    options = ["--epochs", "2", "--seed", "3", "--user", "7", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "autorec_d2l", *options], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[0]
    assert line.startswith("train RMSE ")
    assert 0.9 < float(line.split("test RMSE ")[1].split(" stars")[0]) < 1.2
    liked, best = columns(done.stdout)
    assert len(liked) == len(set(best)) == 10
    assert "ml-100k: read from" in done.stderr
    cli.main(options)
    assert capsys.readouterr().out == done.stdout


class Unpopular(torch.nn.Module):
    """Prefer the films with the fewest ratings, one star too far."""

    def __init__(self):
        super().__init__()
        self.shift = torch.nn.Parameter(torch.tensor(8.0))

    def forward(self, ratings):
        assert not self.training
        return (self.shift - ratings.count_nonzero(1)[:, None] / 10).expand_as(ratings)


@pytest.fixture
def unpopular(monkeypatch):
    """Replace training by a network that is known."""
    monkeypatch.setattr(cli, "_train", lambda *args: Unpopular())


@pytest.mark.parametrize("code", ["cp932", "cp1252"])
def test_all_titles_are_printed_in_any_code_page(ml100k, unpopular, monkeypatch, code):
    """User 537 likes Les Miserables, whose accent Japan's code page does not have."""
    stream = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stream, encoding=code))
    cli.main(["--user=537"])
    rows = stream.getvalue().decode(code).splitlines()
    assert sum(row.startswith("5  ") for row in rows) == 10
    [row] = (row for row in rows if "rables, Les" in row)
    assert ("Misérables" if code == "cp1252" else "Mis?rables") in row


def test_a_closed_output_ends_it_quietly(ml100k, unpopular, monkeypatch):
    """As `python -m autorec_d2l | head -1` does: the reader is gone before anything is printed."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        cli.main([])


def test_films_are_new_to_the_user_and_have_20_ratings(ml100k, unpopular, capsys):
    cli.main(["--user", "13", "--seed", "1"])
    liked, best = columns(capsys.readouterr().out)
    train_data, _ = d2l.split_data_ml100k(*ml100k, seed=1)
    counts = train_data["item_id"].value_counts()
    rated = train_data[train_data["user_id"] == 13].sort_values("item_id")
    eligible = sorted(
        (n, item) for item, n in counts.items() if n >= 20 and item not in set(rated["item_id"])
    )
    titles = d2l.read_items_ml100k().set_index("item_id")["title"].str[:40]
    # Predictions are above 5 for all of these; what is shown stays within the scale.
    assert best == [("5.00", titles[item]) for _, item in eligible[:10]]
    rated = rated.sort_values("rating", ascending=False, kind="stable").head(10)
    assert liked == [(str(r.rating), titles[r.item_id]) for r in rated.itertuples()]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--epochs", "2.5"], "argument --epochs: invalid int value: '2.5'"),
        (["--device", "cuda:99"], "argument --device: cuda:99 cannot be used here: "),
        (["fti", "ratings.csv"], "invalid choice: 'fti'"),
    ],
)
def test_a_bad_option_is_one_line(capsys, arguments, reason):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert reason in capsys.readouterr().err.splitlines()[-1]


def test_a_number_out_of_range_is_refused_before_training(ml100k):
    for arguments in (["--epochs", "0"], ["--user", "944"], ["--seed", "-1"]):
        with pytest.raises(SystemExit, match=f"{arguments[0][2:]} must be "):
            cli.main(arguments)


def test_without_data_it_ends_with_a_message(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOREC_D2L_DATA", str(tmp_path))
    monkeypatch.setattr(download, "SOURCES", {name: [] for name in download.SOURCES})
    with pytest.raises(SystemExit, match=r"Place ml-100k\.zip"):
        cli.main([])


def test_stopped_before_the_first_epoch_it_recommends_nothing(ml100k, monkeypatch):
    monkeypatch.setattr(d2l, "train_recsys_rating", lambda *args, **kwargs: pd.DataFrame())
    with pytest.raises(SystemExit, match="No epoch was finished, so there is nothing to recommend"):
        cli.main([])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder with a table and a model of it."""
    folder = tmp_path_factory.mktemp("fitted")
    made_up()[:1540].to_csv(folder / "ratings.csv", index=False)
    cli.main(["fit", f"{folder / 'ratings.csv'}", "--out", f"{folder / 'model.pt'}", "--epochs=9"])
    return folder


def test_the_commands_for_own_ratings(fitted, monkeypatch, capsys):
    monkeypatch.chdir(fitted)
    cli.main(["fit", "ratings.csv", "--out", "other.pt", "--members", "user", "--epochs", "2"])
    assert "other.pt: fitted to all 1,540 ratings" in capsys.readouterr().out
    pd.DataFrame({"movieId": range(40), "title": ["A\x1b[2J"] + ["B"] * 39}).to_csv("titles.csv")
    cli.main(["recommend", "model.pt", "--user", "7", "-n", "30", "--items", "titles.csv"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["prediction", "item", "title"]
    assert {line.split()[-1] for line in lines[1:]} <= {"B", "A?[2J"}
    made_up()[["item", "rating"]][:5].drop_duplicates("item").to_csv("mine.csv", index=False)
    cli.main(["recommend", "model.pt", "--ratings", "mine.csv", "-n", "3"])
    assert len(capsys.readouterr().out.splitlines()) == 4
    test = made_up()[1530:].rename(columns={"user": "who"})
    test.to_csv("test.csv", index=False)
    cli.main(["predict", "model.pt", "test.csv", "--columns", "user=who", "--out", "stars.csv"])
    stars = pd.read_csv("stars.csv", dtype={"user": str, "item": str})
    assert stars["item"].tolist() == test["item"].tolist()
    cli.main(["similar", "model.pt", "7", "-n", "3"])
    lines = capsys.readouterr().out.splitlines()[1:]  # the first is about stars.csv
    assert lines[0].split() == ["cosine", "item"]
    assert len(lines) == 4
    cli.main(["recommend", "model.pt", "--all", "-n", "2", "--out", "best.csv"])
    assert capsys.readouterr().out == "best.csv: 160 rows\n"
    assert pd.read_csv("best.csv").groupby("user").size().eq(2).all()
    monkeypatch.setattr("sys.stdin", io.StringIO(test.to_csv(index=False)))
    cli.main(["predict", "model.pt", "-", "--columns", "user=who"])
    assert capsys.readouterr().out == (fitted / "stars.csv").read_text(encoding="utf-8")
    short = ["evaluate", "--cross-validate", "2", "ratings.csv"]
    monkeypatch.setattr(custom.fit, "__kwdefaults__", custom.fit.__kwdefaults__ | {"num_epochs": 2})
    cli.main(short)
    assert "RMSE of the model: mean " in capsys.readouterr().out
    cli.main(["predict", "model.pt", "test.csv", "--columns", "user=0", "item=1"])
    out = capsys.readouterr().out
    assert out.endswith((fitted / "stars.csv").read_text(encoding="utf-8"))
    cli.main(["evaluate", "model.pt", "test.csv", "--columns", "user=who"])
    out, err = capsys.readouterr()
    assert err == "Note: the model was fitted to 10 of these 70 pairs, which are left out\n"
    error = ((stars["prediction"].to_numpy() - test["rating"])[10:] ** 2).mean() ** 0.5
    assert float(re.search(r"  model +([\d.]+)", out)[1]) == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recommend", "model.pt", "--user", "nobody"], "does not know the user 'nobody'"),
        (["recommend", "ratings.csv", "--user", "7"], "ratings.csv is not a complete model"),
        (["fit", "ratings.csv", "--out", "no/folder/m.pt"], "--out must name a file"),
        (["fit", ".", "--out", "m.pt"], "Is a directory"),
        (["fit", "ratings.csv", "--out", "m.pt", "--columns", "user"], "--columns takes"),
        (["evaluate", "model.pt", "ratings.csv"], "fitted to 1,540 of these 1,540 pairs"),
        (["evaluate", "model.pt"], "evaluate takes a model and a table, or --cross-validate K"),
    ],
)
def test_a_command_that_fails_ends_with_one_line(fitted, monkeypatch, arguments, message):
    monkeypatch.chdir(fitted)
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert message in stop.value.code
    assert "\n" not in stop.value.code
    assert not (fitted / "m.pt").exists()
