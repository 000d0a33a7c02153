"""``python -m autorec_d2l``, as a user runs it."""

import os
import subprocess
import sys

import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l import __main__ as command
from autorec_d2l import devices, download


def run(*options, **variables):
    """Run the command in a process of its own, with a progress bar and, as here, one thread."""
    environment = {key: value for key, value in os.environ.items() if key != "TQDM_DISABLE"}
    environment |= {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "autorec_d2l", *options],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )


def columns(out):
    """Return the two lists of (stars, title) below the heading."""
    lines = out[out.index("rated highest") :].splitlines()[1:]
    pairs = ((line[:46].rstrip(), line[46:]) for line in lines)
    return (
        [tuple(cell.split("  ", 1)) for cell in column if cell]
        for column in zip(*pairs, strict=True)
    )


def test_a_real_short_run_and_the_same_again(ml100k, capsys):
    done = run("--epochs", "2", "--seed", "3", "--user", "7", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[0]
    assert line.startswith("train RMSE ")
    assert line.endswith(" stars")
    assert 0.9 < float(line.split("test RMSE ")[1].split()[0]) < 1.2
    liked, advice = columns(done.stdout)
    assert len(liked) == len(advice) == 10
    assert len(set(advice)) == 10
    assert done.stderr.count("ml-100k: read from") == 1
    assert "2/2" in done.stderr
    assert "ratings/s=" in done.stderr
    command.main(["--epochs", "2", "--seed", "3", "--user", "7", "--device", "cpu"])
    assert capsys.readouterr().out == done.stdout


@pytest.mark.parametrize("code", ["cp932", "cp949", "gbk", "cp1252", "latin-1", "ascii"])
def test_the_whole_table_comes_out_in_any_code_page(ml100k, code):
    """User 537 likes Les Miserables, whose accent Japan's and Korea's code pages do not have."""
    command = [sys.executable, "-m", "autorec_d2l", "--epochs=1", "--user=537"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": code}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = done.stdout.decode(code).splitlines()
    assert sum(row.startswith("5  ") for row in rows) == 10
    [row] = (row for row in rows if "rables, Les" in row)
    assert ("Misérables" if code in ("cp1252", "latin-1", "gbk") else "Mis?rables") in row


def test_a_reader_that_has_had_enough_ends_it_quietly(ml100k):
    """As `python -m autorec_d2l | head -1` does: the reader is gone before anything is printed."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "autorec_d2l", "--epochs=1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run(
        command, env=environment, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=120
    )
    os.close(writing)
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if not line.startswith("ml-100k: ")] == []
    assert "ml-100k: read from" in done.stderr


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", None])
def test_it_trains_on_one_thread_unless_told_otherwise(ml100k, monkeypatch, capsys, variable):
    found = []

    def train(*arguments):
        found.append(torch.get_num_threads())
        return Unpopular()

    monkeypatch.setattr(command, "train", train)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable:
        monkeypatch.setenv(variable, "2")
    monkeypatch.setattr(devices, "THREADS", 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        command.main([])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert found == [2 if variable else 1]


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
    """Put a network that is known in the place of training."""
    monkeypatch.setattr(command, "train", lambda *args: Unpopular())


def test_films_are_new_to_the_user_and_have_20_ratings(ml100k, unpopular, capsys):
    command.main(["--user", "13", "--seed", "1"])
    _, advice = columns(capsys.readouterr().out)
    train_data, _ = d2l.split_data_ml100k(*ml100k, seed=1)
    counts = train_data["item_id"].value_counts()
    seen = set(train_data.loc[train_data["user_id"] == 13, "item_id"])
    eligible = sorted((n, item) for item, n in counts.items() if n >= 20 and item not in seen)
    titles = d2l.read_items_ml100k().set_index("item_id")["title"].str[:40]
    # Predictions are above 5 for all of these; what is shown stays within the scale.
    assert advice == [("5.00", titles[item]) for _, item in eligible[:10]]


def test_the_users_own_films_stand_beside_them(ml100k, unpopular, capsys):
    command.main(["--user", "13", "--seed", "1"])
    liked, _ = columns(capsys.readouterr().out)
    train_data, _ = d2l.split_data_ml100k(*ml100k, seed=1)
    own = train_data[train_data["user_id"] == 13].sort_values("item_id")
    own = own.sort_values("rating", ascending=False, kind="stable").head(10)
    titles = d2l.read_items_ml100k().set_index("item_id")["title"].str[:40]
    assert liked == [(str(r.rating), titles[r.item_id]) for r in own.itertuples()]


def test_help_names_every_option_and_default(capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: python -m autorec_d2l")
    for option in ("--epochs", "--seed", "--device", "--user", "(default: 25)"):
        assert option in shown


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--epochs", "0", "must be a whole number 1 to 10000, got 0"),
        ("--epochs", "many", "must be a whole number 1 to 10000, got many"),
        ("--epochs", "2.5", "must be a whole number 1 to 10000, got 2.5"),
        ("--epochs", "²", "must be a whole number 1 to 10000, got ²"),
        ("--user", "0", "must be a whole number 1 to 943, got 0"),
        ("--user", "944", "must be a whole number 1 to 943, got 944"),
        ("--seed", "-1", "must be a whole number 0 to 4294967295, got -1"),
        ("--seed", "4294967296", "must be a whole number 0 to 4294967295, got 4294967296"),
        ("--device", "abacus", "abacus cannot be used here: "),
        ("--device", "meta", "meta cannot be used here: "),
        ("--device", "cuda:99", "cuda:99 cannot be used here: "),
    ],
)
def test_a_bad_option_is_one_clear_error_line(capsys, option, value, reason):
    with pytest.raises(SystemExit) as stop:
        command.main([option, value])
    assert stop.value.code == 2
    error = capsys.readouterr().err.split("python -m autorec_d2l: error: ")[1]
    assert error.startswith(f"argument {option}: {reason}")


def test_an_unknown_option_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["--epoch5"])
    assert stop.value.code == 2
    assert "unrecognized arguments: --epoch5" in capsys.readouterr().err


def test_without_data_it_ends_with_the_message_and_no_traceback(tmp_path):
    (tmp_path / "file").touch()
    done = run(AUTOREC_D2L_DATA=str(tmp_path / "file" / "below"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(
        f"The data folder {tmp_path / 'file' / 'below'} cannot be written"
    )
    assert "AUTOREC_D2L_DATA" in done.stderr
    assert "Traceback" not in done.stderr


def test_if_no_source_serves_the_message_is_what_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOREC_D2L_DATA", str(tmp_path))
    monkeypatch.setitem(download.SOURCES, "ml-100k", [])
    with pytest.raises(SystemExit, match="ml-100k could not be had from any source:") as stop:
        command.main([])
    assert f"Place ml-100k.zip (or the unpacked folder ml-100k) into {tmp_path}" in stop.value.code


def test_stopped_before_the_first_epoch_it_recommends_nothing(ml100k, monkeypatch):
    monkeypatch.setattr(
        command.d2l, "train_recsys_rating", lambda *args, **kwargs: d2l.read_items_ml100k()[:0]
    )
    with pytest.raises(SystemExit, match="No epoch was finished, so there is nothing to recommend"):
        command.main([])
