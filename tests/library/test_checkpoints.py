"""A run that is interrupted and continued ends bit for bit as one that is not."""

import errno
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset, random_split
from training_runs import autorec, compress, matrices, mf, sparse, train

import autorec_d2l as d2l
from autorec_d2l.data.validation import checksum
from autorec_d2l.training import Callback, checkpoints


class Interruption(Callback):
    """Interrupt a run before the checkpoint of an epoch, as the evaluation of the epoch might."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, run):
        if len(run.history) == self.epoch:
            raise InterruptedError


def train_with(path, run, num_epochs=8, patience=None, interrupt_in=None, **others):
    """Return losses and weights; `path` is None for a run without a checkpoint."""
    callbacks = [] if patience is None else [d2l.EarlyStopping(patience)]
    callbacks += [] if interrupt_in is None else [Interruption(interrupt_in)]
    callbacks += [] if path is None else [d2l.Checkpoint(path, **others)]
    return train(run, num_epochs, callbacks=callbacks), run["net"].state_dict()


def one_cycle(run):
    """Hook a schedule to the trainer of a run and return it."""
    scheduler = torch.optim.lr_scheduler.OneCycleLR(run["trainer"], 0.1, 300)
    run["trainer"].register_step_post_hook(lambda *_: scheduler.step())
    return scheduler


def scheduled(path, run=None, **options):
    run = run or autorec("rollover")
    return train_with(path, run, scheduler=one_cycle(run), **options)


def assert_same(first, second):
    assert first[0] == second[0]
    assert first[1].keys() == second[1].keys()
    assert all(torch.equal(first[1][name], second[1][name]) for name in first[1])


class StatefulLoader:
    """Has a state of its own, as the loaders of torchdata."""

    def __init__(self):
        self.rows, self.epoch = matrices()[0], 0

    def __iter__(self):
        self.epoch += 1
        yield self.rows.roll(self.epoch, 0)

    def state_dict(self):
        return {"epoch": self.epoch}

    def load_state_dict(self, state):
        self.epoch = state["epoch"]


KINDS = {
    "keep": autorec,
    "MF": mf,
    "sparse": sparse,
    "DataLoader": lambda: autorec() | {"train_iter": DataLoader(matrices()[0], 5, shuffle=True)},
    "list": lambda: autorec() | {"train_iter": list(matrices()[0].split(5))},
    "stateful": lambda: autorec() | {"train_iter": StatefulLoader()},
}


# It continues


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_run_continues_bit_for_bit(kind, tmp_path):
    make, path = KINDS[kind], tmp_path / "run.pt"
    expected = train_with(None, make(), patience=2)
    for epoch in (1, 2, 3):  # each time from new objects
        with pytest.raises(InterruptedError):
            train_with(path, make(), patience=2, interrupt_in=epoch)
        torch.rand(7)
    assert_same(train_with(path, make(), patience=2), expected)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pt"]


def test_a_schedule_continues_with_new_and_with_the_same_objects(tmp_path):
    expected = scheduled(None)
    with pytest.raises(InterruptedError):
        scheduled(tmp_path / "run.pt", interrupt_in=4)
    assert_same(scheduled(tmp_path / "run.pt"), expected)
    run = autorec("rollover")  # the cell of a notebook that is run twice
    scheduler = one_cycle(run)
    with pytest.raises(InterruptedError):
        train_with(tmp_path / "2.pt", run, scheduler=scheduler, interrupt_in=4)
    assert_same(train_with(tmp_path / "2.pt", run, scheduler=scheduler), expected)


def test_a_finished_run_returns_at_once_and_may_be_extended(tmp_path):
    path, run = tmp_path / "run.pt", autorec()
    first = train_with(path, autorec(), 5)
    assert_same(train_with(path, run | {"loss": None}, 5), first)  # the loss is not called
    assert_same(train_with(path, autorec()), train_with(None, autorec()))
    with pytest.raises(ValueError, match=r"run\.pt holds 8 epochs, num_epochs is 2"):
        train_with(path, autorec(), 2)


def test_patience_may_be_increased(tmp_path):
    path = tmp_path / "run.pt"
    short, long = (train_with(path, autorec(), 60, patience) for patience in (1, 6))
    assert len(short[0]) < len(long[0]) < 60
    assert_same(long, train_with(None, autorec(), 60, 6))


# It refuses


def with_sgd():
    run = autorec()
    return run | {"trainer": torch.optim.SGD(run["net"].parameters(), lr=0.05)}


FLIPPED = [matrix.flip(0) for matrix in matrices()]
OTHER_RUNS = {
    "network": (lambda: autorec(num_hidden=5), {}),
    "optimizer": (with_sgd, {}),
    "learning rate": (lambda: autorec(lr=0.1), {}),
    "patience": (autorec, {"patience": 3}),
    "train_iter": (lambda: autorec() | {"train_iter": d2l.load_array(FLIPPED[0], 5)}, {}),
    "test_iter": (lambda: autorec() | {"test_iter": [FLIPPED[0]]}, {}),
    "inter_mat": (lambda: autorec() | {"inter_mat": FLIPPED[1]}, {}),
}


@pytest.mark.parametrize("kind", OTHER_RUNS)
def test_the_file_of_another_run_is_refused_and_nothing_changes(kind, tmp_path):
    path = tmp_path / "run.pt"
    train_with(path, autorec(), 2)
    make, options = OTHER_RUNS[kind]
    before, run = path.read_bytes(), make()
    weights = {name: tensor.clone() for name, tensor in run["net"].state_dict().items()}
    with pytest.raises(ValueError, match=r"run\.pt belongs to another run: there "):
        train_with(path, run, 2, **options)
    assert path.read_bytes() == before
    assert all(torch.equal(weights[key], run["net"].state_dict()[key]) for key in weights)


def test_an_optimizer_of_other_parameters_is_refused_and_nothing_changes(tmp_path):
    train_with(tmp_path / "run.pt", autorec(), 2)
    torch.manual_seed(1)
    net = d2l.AutoRec(4, 9)
    before, trainer = net.decoder.weight.clone(), torch.optim.Adam([net.decoder.weight], lr=0.05)
    with pytest.raises(ValueError, match="parameter group that doesn't match"):
        train_with(tmp_path / "run.pt", autorec() | {"net": net, "trainer": trainer}, 2)
    assert torch.equal(net.decoder.weight, before)


class Pickled:
    def __reduce__(self):
        return print, ("unpickled",)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw, _: b"user,item,rating\n1,2,3\n",
        lambda raw, _: raw[: len(raw) // 2],
        lambda raw, weights: raw.replace(weights, weights[::-1]),
        Pickled(),
        {"weight": torch.ones(2)},
    ],
    ids=["text", "half", "other weights", "object", "other tensors"],
)
def test_a_file_that_is_not_a_complete_checkpoint_is_refused(spoil, tmp_path, capsys):
    path, run = tmp_path / "run.pt", autorec()
    train_with(path, run, 2)
    if callable(spoil):
        weights = run["net"].decoder.weight.detach().numpy().tobytes()
        path.write_bytes(spoil(path.read_bytes(), weights))
    else:
        torch.save(spoil, path)
    with pytest.raises(ValueError, match=r"run\.pt is not a complete checkpoint"):
        train_with(path, autorec(), 2)
    assert capsys.readouterr().out == ""


def test_another_version_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    checkpoints.write_state({"format": "autorec_d2l checkpoint", "version": 1}, path)
    with pytest.raises(
        ValueError, match="is a checkpoint of version 1, this library reads version 2"
    ):
        train_with(path, autorec())


def test_a_path_that_cannot_be_written_is_refused_before_training(tmp_path):
    run = autorec() | {"loss": None}
    with pytest.raises(IsADirectoryError):
        train_with(tmp_path, run)
    with pytest.raises(OSError, match=r"run\.pt could not be written"):
        train_with(tmp_path / "nowhere" / "run.pt", run)
    with pytest.raises(ValueError, match="Checkpoint must be the last callback"):
        train(run, callbacks=[d2l.Checkpoint(tmp_path / "run.pt"), d2l.EarlyStopping(1)])


def test_processes_that_do_not_share_one_file_are_refused(tmp_path, monkeypatch):
    train_with(tmp_path / "own.pt", autorec(), 2)
    monkeypatch.setattr(checkpoints, "from_first_process", lambda value: 0.0)  # it sees 0 epochs
    with pytest.raises(FileNotFoundError, match=r"run\.pt"):
        train_with(tmp_path / "run.pt", autorec() | {"loss": None})
    with pytest.raises(ValueError, match=r"the processes must share one file .*own\.pt"):
        train_with(tmp_path / "own.pt", autorec())


def test_a_state_that_cannot_be_saved_or_read_is_refused_before_training(tmp_path):
    run = autorec() | {"loss": None, "train_iter": iter(matrices()[0].split(5))}
    with pytest.raises(TypeError, match="cannot hold the state of train_iter, a tuple_iterator"):
        train_with(tmp_path / "run.pt", run)
    assert list(tmp_path.iterdir()) == []
    run = autorec(lr=np.float64(0.05)) | {"loss": None}
    with pytest.raises(ValueError, match="not a complete checkpoint of tensors, strings and num"):
        train_with(tmp_path / "run.pt", run)


@pytest.mark.parametrize(
    ("when", "error"),
    [(0, OSError(errno.ENOSPC, "No space left")), (3, RuntimeError("No space"))],
)
def test_a_full_disk_is_one_error_and_leaves_the_old_file(when, error, tmp_path, monkeypatch):
    path, calls = tmp_path / "run.pt", []

    def save(state, file, save=torch.save):
        calls.append(1)
        if len(calls) > when:
            file.write(b"half a file")
            raise error
        save(state, file)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", save)
        with pytest.raises(OSError, match=r"run\.pt could not be written, .*: .*No space"):
            train_with(path, autorec())
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pt"] * (when > 0)
    assert_same(train_with(path, autorec()), train_with(None, autorec()))


def test_the_checksum_depends_on_every_number_and_its_place():
    rows = torch.arange(6.0)
    matrix = rows.view(2, 3)
    data = [rows, rows.double(), rows[:5], rows + 1, matrix, matrix.to_sparse_csr()]
    data += [TensorDataset(rows, rows), [rows, rows.flip(0)], *map(compress, FLIPPED)]
    data += random_split(rows, [2, 4], torch.Generator().manual_seed(0))
    sums = [checksum(one) for one in data]
    assert sums[3] == checksum(np.arange(1, 7, dtype="float32"))
    assert sums[0] == checksum(DataLoader(rows))
    assert len(set(sums)) == len(sums)


# Kills


LONG = {"num_epochs": 90, "patience": 40}
WORKER = """\
import json, os, random, signal, sys, time
sys.path.insert(0, sys.argv[1])
import torch
from test_checkpoints import LONG, autorec, scheduled, train
from autorec_d2l.training import checkpoints

torch.set_num_threads(1)
train(autorec(), 1)  # imports what torch imports at the first step, once
path, target = map(checkpoints.Path, sys.argv[2:])
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

def save_half(state, file):
    file.write(b"half a file")
    file.flush()
    die()

def start(kill_in=None):
    if pid := os.fork():
        return pid
    if kill_in == "save":
        torch.save = save_half
    elif kill_in:
        setattr(os, kill_in, die)
    torch.save(list(scheduled(path, **LONG)), target)
    os._exit(0)

def stamp():
    return path.stat().st_ino if path.exists() else None

kills, chance = 0, random.Random()
for number in range(17):
    pid, before = start(), stamp()
    while number % 2 == 0 and stamp() == before:  # wait for a save
        time.sleep(0.0005)
    time.sleep(chance.uniform(0, 0.01))  # then any moment of the next epochs
    os.kill(pid, signal.SIGKILL)
    kills += os.waitpid(pid, 0)[1] == signal.SIGKILL
for kill_in in ("save", "fsync", "replace"):
    state = path.read_bytes()
    kills += os.waitpid(start(kill_in), 0)[1] == signal.SIGKILL
    assert path.read_bytes() == state
finished = len(checkpoints.read_state(path)["history"])
assert os.waitpid(start(), 0)[1] == 0
print(json.dumps([kills, finished]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_run_that_is_killed_twenty_times_ends_as_one_that_is_not(tmp_path):
    """At random moments, and three times while the file is written."""
    target, folder = tmp_path / "end.pt", os.path.dirname(__file__)
    command = [sys.executable, "-c", WORKER, folder, tmp_path / "run.pt", target]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    kills, finished = json.loads(done.stdout)
    expected = scheduled(None, **LONG)
    assert kills == 20
    assert 0 < finished < len(expected[0]) < 90, "killed before the end, stopped by patience"
    assert_same(torch.load(target, weights_only=True), expected)
