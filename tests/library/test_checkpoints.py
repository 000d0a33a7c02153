"""A run that is killed, stopped or started again ends bit for bit as one that is left alone."""

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

import autorec_d2l as d2l
from autorec_d2l import checkpoints
from autorec_d2l.data.validation import checksum
from autorec_d2l.sparse import HalfSumOfSquares, RatingMatrix, SparseAutoRec, evaluator_sparse

CPU = [torch.device("cpu")]
NEEDS_KILL = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")


def matrices():
    """A train and a test matrix, (12, 9), of made-up ratings."""
    random = torch.Generator().manual_seed(0)
    stars = torch.randint(1, 6, (12, 9), generator=random).float()
    part = torch.rand(12, 9, generator=random)
    return stars * (part < 0.6), stars * (part > 0.7)


def dense(last_batch="keep", seed=0, dropout=0.3, lr=0.05):
    train, test = matrices()
    torch.manual_seed(0)
    net = d2l.AutoRec(4, 9, dropout)
    return {
        "net": net,
        "train_iter": d2l.load_array((train,), 5, seed=seed, last_batch=last_batch),
        "test_iter": d2l.load_array((train,), 5, is_train=False),
        "loss": d2l.L2Loss(),
        "trainer": torch.optim.Adam(net.parameters(), lr=lr),
        "inter_mat": test,
        "devices": CPU,
        "verbose": False,
    }


def scheduled(num_steps=40):
    made = dense("rollover")
    made["scheduler"] = torch.optim.lr_scheduler.OneCycleLR(made["trainer"], 0.1, num_steps)
    return made


def mf():
    def triples(matrix, is_train):
        items, users = matrix.nonzero(as_tuple=True)
        return d2l.load_array((users, items, matrix[items, users]), 8, is_train)

    torch.manual_seed(0)
    net = d2l.MF(3, 9, 12, mean=3.0)
    return {
        "net": net,
        "train_iter": triples(matrices()[0], True),
        "test_iter": triples(matrices()[1], False),
        "loss": d2l.L2Loss(),
        "trainer": torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9),
        "devices": CPU,
        "verbose": False,
    }


def sparse():
    def compressed(matrix):
        rows, columns = matrix.nonzero(as_tuple=True)
        return RatingMatrix(rows, columns, matrix[rows, columns], (12, 9))

    made, (train, test) = dense(), map(compressed, matrices())
    torch.manual_seed(0)
    net = SparseAutoRec(4, 9, 0.3, input_dropout=0.2, quick_dropout=True)
    return made | {
        "net": net,
        "train_iter": d2l.load_array((train,), 5, last_batch="rollover"),
        "test_iter": d2l.load_array((train,), 5, is_train=False),
        "loss": HalfSumOfSquares(45),
        "trainer": torch.optim.Adam(net.parameters(), lr=0.05, fused=True),
        "evaluator": evaluator_sparse,
        "inter_mat": test,
        "scale": None,
    }


def default_loader():
    """Shuffled by torch's own random numbers, as in most people's code."""
    made = dense()
    rows = TensorDataset(matrices()[0])
    return made | {"train_iter": DataLoader(rows, 5, shuffle=True)}


KINDS = {
    "keep": dense,
    "rollover": lambda: dense("rollover"),
    "discard": lambda: dense("discard"),
    "OneCycleLR": scheduled,
    "MF": mf,
    "sparse": sparse,
    "DataLoader": default_loader,
    "list": lambda: dense() | {"train_iter": list(matrices()[0].split(5))},
}


def train(made, num_epochs=8, **options):
    history = d2l.train_recsys_rating(**made, num_epochs=num_epochs, **options)
    return history[["train_rmse", "test_rmse"]].to_numpy().tolist(), made["net"].state_dict()


def same(first, second):
    weights, others = first[1], second[1]
    assert first[0] == second[0]
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def interrupted(made, after, **options):
    """Start a run that fails in the evaluation after its epoch ``after``."""
    given = made.get("evaluator") or (d2l.evaluator if "inter_mat" in made else d2l.evaluator_mf)
    epochs = []

    def evaluator(*arguments):
        epochs.append(1)
        if len(epochs) > after:
            raise InterruptedError
        return given(*arguments)

    with pytest.raises(InterruptedError):
        train(made | {"evaluator": evaluator}, **options)


# It goes on


@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_run_goes_on_bit_for_bit(kind, patience, tmp_path):
    make, path = KINDS[kind], tmp_path / "run.pt"
    alone = train(make(), patience=patience)
    for after in (0, 1, 1):  # each time one that has forgotten all
        interrupted(make(), after, checkpoint=path, patience=patience)
        torch.rand(7)
    same(train(make(), checkpoint=path, patience=patience), alone)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pt"]


def test_a_run_that_is_over_returns_at_once_and_may_grow(tmp_path):
    options = {"checkpoint": tmp_path / "run.pt"}
    first = train(dense(), 5, **options)
    made = dense()
    made["loss"] = type("L2Loss", (d2l.L2Loss,), {"forward": None})()  # not to be called
    same(train(made, 5, **options), first)
    same(train(dense(), 8, **options), train(dense(), 8))


def test_the_same_objects_may_go_on(tmp_path):
    """As in a notebook, where the cell that trains runs a second time."""
    made, path = scheduled(), tmp_path / "run.pt"
    interrupted(made, 3, checkpoint=path)
    same(train(made, checkpoint=path), train(scheduled()))


def test_a_loader_that_tells_its_state_is_asked_for_it(tmp_path):
    class Loader:
        def __init__(self):
            self.rows, self.epoch = matrices()[0], 0

        def __iter__(self):
            self.epoch += 1
            yield self.rows.roll(self.epoch, 0)

        def state_dict(self):
            return {"epoch": self.epoch}

        def load_state_dict(self, state):
            self.epoch = state["epoch"]

    path = tmp_path / "run.pt"
    interrupted(dense() | {"train_iter": Loader()}, 2, checkpoint=path)
    again = train(dense() | {"train_iter": Loader()}, checkpoint=path)
    same(again, train(dense() | {"train_iter": Loader()}))


# Early stopping


def test_it_stops_at_patience_with_the_weights_of_the_best_epoch(capsys):
    errors = [1.0, 0.9, 0.95, 0.8, 0.8, 0.85, 0.7]  # 0.8 again is no fall

    given = iter(errors)
    made = dense() | {"evaluator": lambda *_: next(given), "verbose": True}
    history, weights = train(made, 7, patience=2)
    assert [row[1] for row in history] == errors[:6]
    assert 1 + int(np.argmin([row[1] for row in history])) == 4
    expected = train(dense() | {"evaluator": lambda *_: 1.0}, 4)[1]
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert "test RMSE 0.800 stars" in capsys.readouterr().out


def test_more_patience_goes_on(tmp_path):
    short = train(dense(), 60, patience=1, checkpoint=tmp_path / "run.pt")
    long = train(dense(), 60, patience=6, checkpoint=tmp_path / "run.pt")
    assert len(short[0]) < len(long[0]) < 60
    same(long, train(dense(), 60, patience=6))


@pytest.mark.parametrize("patience", [0, -1, 1.5, True])
def test_other_patience_is_refused(patience):
    with pytest.raises(ValueError, match="patience must be a whole number, at least 1"):
        train(dense(), patience=patience)


def test_patience_needs_something_to_wait_for():
    with pytest.raises(ValueError, match="patience needs a test_iter"):
        train(dense() | {"test_iter": None}, patience=1)


# What is refused


def other_rows(name):
    made = dense()
    return made | {name: d2l.load_array((matrices()[0].flip(0),), 5)}


def other_network():
    made = dense()
    net = d2l.AutoRec(5, 9, 0.3)
    return made | {"net": net, "trainer": torch.optim.Adam(net.parameters(), lr=0.05)}


def other_optimizer():
    made = dense()
    return made | {"trainer": torch.optim.SGD(made["net"].parameters(), lr=0.05)}


def other_scheduler():
    made = dense()
    return made | {"scheduler": torch.optim.lr_scheduler.StepLR(made["trainer"], 5)}


def other_seed():
    made = dense()
    torch.manual_seed(1)
    return made


OTHERS = {
    "network": [other_network, lambda: dense(dropout=0.4)],
    # A scheduler writes into the groups of its optimizer, where it is seen first.
    "optimizer": [other_optimizer, lambda: dense(lr=0.1), other_scheduler],
    "loss": [lambda: dense() | {"loss": torch.nn.MSELoss()}],
    "data in train_iter": [lambda: other_rows("train_iter")],
    "data in test_iter": [lambda: other_rows("test_iter")],
    "data in inter_mat": [lambda: dense() | {"inter_mat": matrices()[1].flip(0)}],
    "order of train_iter": [lambda: dense("rollover"), lambda: dense(seed=1)],
    "seed of torch": [other_seed],
    "scale": [lambda: dense() | {"scale": d2l.RatingScale(1, 6)}],
    "early stopping": [lambda: dense() | {"patience": 3}],
}


@pytest.mark.parametrize(
    ("name", "make"), [(name, make) for name, makes in OTHERS.items() for make in makes]
)
def test_the_file_of_another_run_is_refused(name, make, tmp_path):
    path = tmp_path / "run.pt"
    train(dense(), 2, checkpoint=path)
    before, made = path.read_bytes(), make()
    weights = {name: tensor.clone() for name, tensor in made["net"].state_dict().items()}
    with pytest.raises(ValueError, match=rf"run\.pt is of another run: its {name} is .*, here"):
        train(made, 2, checkpoint=path)
    assert path.read_bytes() == before
    assert all(torch.equal(weights[key], made["net"].state_dict()[key]) for key in weights)


def test_another_schedule_is_refused(tmp_path):
    train(scheduled(), 2, checkpoint=tmp_path / "run.pt")
    with pytest.raises(ValueError, match=r"scheduler is OneCycleLR .*40.* here .*50"):
        train(scheduled(50), 2, checkpoint=tmp_path / "run.pt")


def test_fewer_epochs_than_there_are_is_refused(tmp_path):
    train(dense(), 3, checkpoint=tmp_path / "run.pt")
    with pytest.raises(ValueError, match=r"run\.pt is of 3 epochs, num_epochs is 2"):
        train(dense(), 2, checkpoint=tmp_path / "run.pt")


class Trap:
    def __reduce__(self):
        return print, ("unpickled",)


def spoil(raw, how):
    return {
        "empty": b"",
        "text": b"user,item,rating\n1,2,3\n",
        "half": raw[: len(raw) // 2],
        "cut by one": raw[:-1],
        "one bit": bytes([*raw[:4000], raw[4000] ^ 1, *raw[4001:]]),
    }[how]


@pytest.mark.parametrize("how", ["empty", "text", "half", "cut by one", "one bit"])
def test_a_file_that_is_no_whole_checkpoint_is_refused(how, tmp_path):
    path = tmp_path / "run.pt"
    train(dense(), 2, checkpoint=path)
    path.write_bytes(spoil(path.read_bytes(), how))
    with pytest.raises(ValueError, match=r"run\.pt is no checkpoint, or not a whole one"):
        train(dense(), 2, checkpoint=path)


@pytest.mark.parametrize("content", [Trap(), {"weight": torch.ones(2)}, [1, 2]])
def test_a_file_of_torch_of_another_kind_is_refused_and_not_unpickled(content, tmp_path, capsys):
    torch.save(content, tmp_path / "run.pt")
    with pytest.raises(ValueError, match=r"run\.pt is no checkpoint, or not a whole one"):
        train(dense(), 2, checkpoint=tmp_path / "run.pt")
    assert "unpickled" not in capsys.readouterr().out


def test_a_later_version_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    checkpoints.write_state({"format": checkpoints.FORMAT, "version": 2}, path)
    with pytest.raises(ValueError, match=r"of version 2, this library reads version 1: use the"):
        train(dense(), 2, checkpoint=path)


def test_a_path_that_cannot_become_a_file_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match="checkpoint must be a file"):
        train(dense(), checkpoint=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"checkpoint needs the folder .*nowhere, which"):
        train(dense(), checkpoint=tmp_path / "nowhere" / "run.pt")


def test_a_file_that_only_some_processes_see_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "rank_and_world_size", lambda: (0, 2))
    monkeypatch.setattr(checkpoints, "all_reduce_sum", torch.ones_like)  # one of the two misses it
    with pytest.raises(ValueError, match=r"1 of 2 processes do not see the file .*run\.pt"):
        train(dense(), checkpoint=tmp_path / "run.pt")


@pytest.mark.parametrize("batches", [lambda rows: iter([rows]), lambda rows: Rows()])
def test_a_loader_of_an_unknown_state_is_refused(batches, tmp_path):
    made = dense() | {"train_iter": batches(matrices()[0])}
    with pytest.raises(TypeError, match=r"cannot hold the state of train_iter, a .*load_array"):
        train(made, checkpoint=tmp_path / "run.pt")


def test_a_state_that_could_not_be_read_again_is_refused_at_once(tmp_path):
    with pytest.raises(TypeError, match="Python's own numbers; the optimizer, the scheduler"):
        train(dense(lr=np.float64(0.05)), checkpoint=tmp_path / "run.pt")
    assert list(tmp_path.iterdir()) == []


class Rows(torch.utils.data.DataLoader):
    """A loader of one's own, that might do anything."""

    def __init__(self):
        super().__init__(matrices()[0], 5)


@pytest.mark.parametrize("when", [0, 3])
def test_a_full_disk_is_one_error_and_leaves_the_old_file(when, tmp_path, monkeypatch):
    path, calls = tmp_path / "run.pt", []

    def fsync(descriptor):
        calls.append(1)
        if len(calls) > when:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match=r"run\.pt could not be written.*No space left"):
            train(dense(), checkpoint=path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pt"] * (when > 0)
    same(train(dense(), checkpoint=path), train(dense()))


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of this kind on Windows")
def test_a_file_that_does_not_fit_is_one_error(tmp_path):
    """Here it is torch that cannot write, which has words of its own for it."""
    code = (
        "import pathlib, resource, sys, torch\n"
        "from autorec_d2l.training.checkpoints import write_state\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "write_state({'weights': torch.zeros(100_000)}, pathlib.Path(sys.argv[1]))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run.pt")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert f"OSError: {tmp_path / 'run.pt'} could not be written" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_checksum_sees_every_number():
    rows = torch.arange(6.0)
    others = [rows, rows.double(), rows[:5], rows.view(2, 3), rows + 1, rows.numpy() + 1]
    others += [TensorDataset(rows, rows), [rows, rows.flip(0)], matrices()[0].to_sparse_csr()]
    others += random_split(rows, [2, 4], torch.Generator().manual_seed(0))
    sums = [checksum(data) for data in others]
    assert sums[4] == checksum(torch.arange(1.0, 7))
    assert len(set(sums)) == len(sums)


# Kills


LONG = {"num_epochs": 140, "patience": 90}
WORKER = """\
import json, os, random, signal, sys, time
sys.path.insert(0, sys.argv[1])
import torch
from test_checkpoints import LONG, scheduled, train
from autorec_d2l import checkpoints

torch.set_num_threads(1)
path, target, how = sys.argv[2:]
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

def spoil_torch_save(state, file):
    file.write(b"half a file")
    file.flush()
    die()

def child(kill_in=None):
    if pid := os.fork():
        return pid
    if kill_in == "write":
        torch.save = spoil_torch_save
    elif kill_in:
        setattr(os, kill_in, die)
    history, weights = train(scheduled(300), **LONG, checkpoint=path)
    torch.save([history, weights], target)
    os._exit(0)

def stamp():
    return os.stat(path).st_ino if os.path.exists(path) else None

kills, chance = 0, random.Random()
if how == "random":
    for number in range(20):
        pid = child()
        for _ in range(number % 2):  # so many saves, then any moment of the next epochs
            before = stamp()
            while stamp() == before:
                time.sleep(0.0005)
        time.sleep(chance.uniform(0, 0.01))
        os.kill(pid, signal.SIGKILL)
        kills += os.waitpid(pid, 0)[1] == signal.SIGKILL
else:
    for kill_in in ("write", "fsync", "replace"):
        state = open(path, "rb").read()
        kills += os.waitpid(child(kill_in), 0)[1] == signal.SIGKILL
        assert open(path, "rb").read() == state
before_the_end = len(checkpoints.read_state(checkpoints.Path(path))["history"])
assert os.waitpid(child(), 0)[1] == 0
print(json.dumps([kills, before_the_end]))
"""


def run_worker(tmp_path, how):
    folder, target = os.path.dirname(__file__), tmp_path / "end.pt"
    command = [sys.executable, "-c", WORKER, folder, tmp_path / "run.pt", target, how]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), torch.load(target, weights_only=True)


@NEEDS_KILL
def test_twenty_kills_at_random_moments_change_nothing(tmp_path):
    (kills, finished), end = run_worker(tmp_path, "random")
    assert kills == 20
    alone = train(scheduled(300), **LONG)
    assert 0 < finished < len(alone[0]) < 140, "kills before the end, and an end by patience"
    same(end, alone)


@NEEDS_KILL
def test_a_kill_during_saving_leaves_the_old_file_whole(tmp_path):
    train(scheduled(300), 3, patience=90, checkpoint=tmp_path / "run.pt")
    (kills, finished), end = run_worker(tmp_path, "saving")
    assert (kills, finished) == (3, 3)
    same(end, train(scheduled(300), **LONG))
