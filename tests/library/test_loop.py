"""The training loop against loops written out, and what it does when something goes wrong."""

import io
import math
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import autorec_d2l as d2l
from autorec_d2l import devices as devices_module
from autorec_d2l import training

CPU = [torch.device("cpu")]
HISTORY = ["train_rmse", "test_rmse", "seconds", "ratings_per_s", "cells_per_s"]


@pytest.fixture
def matrices():
    """A train and a test matrix, (12, 9), of made-up ratings; the last train row is empty."""
    random = torch.Generator().manual_seed(0)
    stars = torch.randint(1, 6, (12, 9), generator=random).float()
    part = torch.rand(12, 9, generator=random)
    part[-1] = 1
    return stars * (part < 0.5), stars * (part > 0.8)


@pytest.fixture
def autorec(matrices):
    """Everything but the number of epochs: 12 rows in batches of 5, 5 and 2."""

    def make(dropout=0.3):
        torch.manual_seed(0)
        net = d2l.AutoRec(4, 9, dropout)
        return {
            "net": net,
            "train_iter": d2l.load_array((matrices[0],), 5),
            "test_iter": d2l.load_array((matrices[0],), 5, is_train=False),
            "loss": d2l.L2Loss(),
            "trainer": torch.optim.Adam(net.parameters(), lr=0.05),
            "inter_mat": matrices[1],
            "devices": CPU,
        }

    return make


@pytest.fixture
def mf(matrices):
    def triples(matrix, is_train):
        items, users = matrix.nonzero(as_tuple=True)
        return d2l.load_array((users, items, matrix[items, users]), 8, is_train)

    def make():
        torch.manual_seed(0)
        net = d2l.MF(3, 9, 12, mean=3.0)
        return {
            "net": net,
            "train_iter": triples(matrices[0], True),
            "test_iter": triples(matrices[1], False),
            "loss": d2l.L2Loss(),
            "trainer": torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=0.01),
            "devices": CPU,
        }

    return make


@pytest.fixture(params=["autorec", "mf"])
def setting(request):
    return request.getfixturevalue(request.param)


# What it computes


def test_autorecs_losses_are_those_of_a_loop_written_out(autorec, matrices):
    train_inter, test_inter = matrices
    made = autorec()
    net, trainer, expected = made["net"], made["trainer"], []
    for _ in range(4):
        squares = 0
        net.train()
        for ratings in made["train_iter"]:
            predictions = net(ratings)
            trainer.zero_grad()
            (0.5 * ((predictions - ratings) ** 2).mean()).backward()
            trainer.step()
            squares += ((predictions - ratings)[ratings > 0] ** 2).sum().item()
        net.eval()
        rebuilt = torch.cat([net(ratings) for ratings in made["test_iter"]]).detach()
        test_errors = (rebuilt - test_inter)[test_inter > 0]
        train_rmse = math.sqrt(squares / (train_inter > 0).sum().item())
        expected.append([train_rmse, test_errors.square().mean().sqrt().item()])
    history = d2l.train_recsys_rating(**autorec(), num_epochs=4)
    assert history[["train_rmse", "test_rmse"]].values.tolist() == [
        pytest.approx(row) for row in expected
    ]


def test_mfs_losses_are_those_of_a_loop_written_out(mf):
    made, expected = mf(), []
    net, trainer = made["net"], made["trainer"]
    for _ in range(4):
        row = []
        for users, items, scores in made["train_iter"]:
            predictions = net(users, items)
            trainer.zero_grad()
            (0.5 * ((predictions - scores) ** 2).mean()).backward()
            trainer.step()
            row.append((predictions - scores).detach())
        test_errors = torch.cat([net(u, i) - s for u, i, s in made["test_iter"]]).detach()
        expected.append([e.square().mean().sqrt().item() for e in (torch.cat(row), test_errors)])
    history = d2l.train_recsys_rating(**mf(), num_epochs=4)
    assert history[["train_rmse", "test_rmse"]].values.tolist() == [
        pytest.approx(row) for row in expected
    ]


def test_the_same_seed_gives_identical_numbers(setting):
    first, again = (d2l.train_recsys_rating(**setting(), num_epochs=5) for _ in range(2))
    assert first["train_rmse"].tolist() == again["train_rmse"].tolist()
    assert first["test_rmse"].tolist() == again["test_rmse"].tolist()


def test_the_history_has_one_row_an_epoch(setting, matrices):
    history = d2l.train_recsys_rating(**setting(), num_epochs=3)
    assert list(history.columns) == HISTORY
    assert (history.index.name, history.index.tolist()) == ("epoch", [1, 2, 3])
    assert (history > 0).all(axis=None)
    num_ratings = matrices[0].count_nonzero().item()
    num_cells = num_ratings if setting()["net"].__class__ is d2l.MF else 12 * 9
    assert (history["ratings_per_s"] * history["seconds"]).tolist() == [
        pytest.approx(num_ratings)
    ] * 3
    assert (history["cells_per_s"] * history["seconds"]).tolist() == [pytest.approx(num_cells)] * 3


def test_it_trains_in_train_mode_whatever_the_mode_before(autorec):
    def evaluator(net, *rest):
        net.eval()
        return 1.0

    made = autorec(dropout=0)  # reading test_iter would move the random stream
    made["net"].eval()
    found = d2l.train_recsys_rating(**made, num_epochs=3, evaluator=evaluator)["train_rmse"]
    expected = d2l.train_recsys_rating(**autorec(dropout=0), num_epochs=3)["train_rmse"]
    assert found.tolist() == expected.tolist()


def test_the_train_rmse_is_over_ratings_even_of_a_net_without_a_mask(autorec):
    class Plus(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.tensor(2.0))

        def forward(self, ratings):
            return ratings + self.shift

    net = Plus()
    made = autorec() | {"net": net, "trainer": torch.optim.SGD(net.parameters(), lr=0)}
    assert d2l.train_recsys_rating(**made, num_epochs=1)["train_rmse"].tolist() == [2]


def test_the_loss_is_half_the_mean_over_all_cells():
    predictions, targets = torch.tensor([[1.0, 0], [0, 4]]), torch.tensor([[3.0, 0], [0, 5]])
    assert d2l.L2Loss()(predictions, targets) == (4 + 1) / 4 / 2


def test_a_scheduler_makes_one_step_a_batch(autorec):
    made = autorec()
    scheduler = torch.optim.lr_scheduler.LinearLR(made["trainer"], 1.0, 0.25, total_iters=9)
    d2l.train_recsys_rating(**made, num_epochs=3, scheduler=scheduler)
    assert scheduler.last_epoch == 9
    assert made["trainer"].param_groups[0]["lr"] == pytest.approx(0.05 / 4)


def test_the_evaluator_is_called_as_in_d2l(setting):
    made, calls = setting(), []

    def evaluator(*arguments):
        calls.append(arguments)
        return float(len(calls))

    history = d2l.train_recsys_rating(**made, num_epochs=2, evaluator=evaluator)
    expected = [made[name] for name in ("net", "test_iter", "inter_mat", "devices") if name in made]
    assert len(calls) == 2
    assert all(a is b for call in calls for a, b in zip(call, expected, strict=True))
    assert history["test_rmse"].tolist() == [1, 2]


def test_an_epoch_without_any_rating_has_no_train_rmse(autorec, matrices):
    made = autorec() | {"train_iter": [torch.zeros(5, 9)]}
    assert d2l.train_recsys_rating(**made, num_epochs=1)["train_rmse"].isna().all()


@pytest.fixture(scope="module")
def real_parts(ml100k):
    """The random split, and how far the mean rating is from its test part, 1.12 or so."""
    train_data, test_data = d2l.split_data_ml100k(*ml100k)
    errors = test_data["rating"] - train_data["rating"].mean()
    return train_data, test_data, errors.pow(2).mean() ** 0.5


def test_autorec_learns_from_the_real_movielens(real_parts):
    *parts, guess = real_parts
    train_inter, test_inter = (d2l.load_data_ml100k(part, 943, 1682)[3] for part in parts)
    torch.manual_seed(0)
    net = d2l.AutoRec(50, 943)
    test_rmse = d2l.train_recsys_rating(
        net,
        d2l.load_array((train_inter,), 64),
        d2l.load_array((train_inter,), 1024, is_train=False),
        d2l.L2Loss(),
        torch.optim.Adam(net.parameters(), lr=0.004),
        num_epochs=3,
        inter_mat=test_inter,
    )["test_rmse"]
    assert 0.85 < test_rmse[3] < guess - 0.05, "better than the mean; far better would be a leak"
    assert test_rmse[3] < test_rmse[1]


def test_mf_learns_from_the_real_movielens(real_parts):
    *parts, guess = real_parts
    train_arrays, test_arrays = (d2l.load_data_ml100k(part, 943, 1682)[:3] for part in parts)
    torch.manual_seed(0)
    net = d2l.MF(10, 943, 1682, mean=3.5)
    test_rmse = d2l.train_recsys_rating(
        net,
        d2l.load_array(train_arrays, 1024),
        d2l.load_array(test_arrays, 1024, is_train=False),
        d2l.L2Loss(),
        torch.optim.Adam(net.parameters(), lr=0.01),
        num_epochs=2,
    )["test_rmse"]
    assert 0.85 < test_rmse[2] < guess - 0.1, "better than the mean; far better would be a leak"
    assert test_rmse[2] < test_rmse[1]


# What it takes


ROWS = np.array([[5, 0, 3, 0], [0, 4, 1, 2], [0, 0, 0, 5]])
TEST = np.array([[0, 2, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])


class Loader:
    """A loader of one's own: every epoch anew."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        yield from self.batches


def run_autorec(rows, test_iter, inter_mat, dtype=torch.float32, **options):
    torch.manual_seed(0)
    net = d2l.AutoRec(2, 4, dropout=0).to(dtype)
    trainer = torch.optim.Adam(net.parameters(), lr=0.01)
    options = {"num_epochs": 2, "devices": CPU, "inter_mat": inter_mat} | options
    history = d2l.train_recsys_rating(net, rows, test_iter, d2l.L2Loss(), trainer, **options)
    return history[["train_rmse", "test_rmse"]].to_numpy()


def run_mf(train_iter, test_iter):
    torch.manual_seed(0)
    net = d2l.MF(2, 4, 3)
    trainer = torch.optim.Adam(net.parameters(), lr=0.01)
    history = d2l.train_recsys_rating(net, train_iter, test_iter, d2l.L2Loss(), trainer, 2, CPU)
    return history[["train_rmse", "test_rmse"]].to_numpy()


KINDS = {
    "tensors": lambda rows: [rows[:2], rows[2:]],
    "lists of one": lambda rows: [[rows[:2]], [rows[2:]]],
    "tuples of one": lambda rows: [(rows[:2],), (rows[2:],)],
    "arrays": lambda rows: [rows[:2].numpy(), rows[2:].numpy()],
    "TensorDataset": lambda rows: DataLoader(TensorDataset(rows), 2),
    "tensor in a DataLoader": lambda rows: DataLoader(rows, 2),
    "list in a DataLoader": lambda rows: DataLoader(list(rows), 2),
    "a loader of one's own": lambda rows: Loader([rows[:2], rows[2:]]),
    "load_array": lambda rows: d2l.load_array((rows,), 2, is_train=False),
    "load_array of an array": lambda rows: d2l.load_array(rows.numpy(), 2, is_train=False),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "uint8"])
def test_autorec_takes_the_batches_that_a_user_of_pytorch_has(kind, dtype):
    rows, test = (torch.from_numpy(matrix.astype(dtype)) for matrix in (ROWS, TEST))
    plain = [torch.tensor(ROWS[:2]).float(), torch.tensor(ROWS[2:]).float()]
    expected = run_autorec(plain, plain, torch.tensor(TEST).float())
    batches = KINDS[kind](rows)
    assert run_autorec(batches, batches, test).tolist() == expected.tolist()
    assert run_autorec(batches, batches, test.numpy()).tolist() == expected.tolist()


def test_a_network_of_doubles_gets_doubles():
    rows = d2l.load_array((torch.tensor(ROWS).float(),), 2, is_train=False)
    found = run_autorec(rows, rows, TEST, torch.float64)
    assert found.tolist() == pytest.approx(run_autorec(rows, rows, TEST), abs=1e-6)


@pytest.mark.parametrize("ids", ["int64", "int32", "int16", "uint8"])
@pytest.mark.parametrize("stars", ["float32", "float64", "int64"])
def test_mf_takes_ids_and_stars_of_any_number_type(ids, stars):
    users, items, scores = [0, 0, 1, 2, 3], [0, 2, 1, 0, 1], [5, 3, 4, 1, 2]
    plain = torch.tensor(users), torch.tensor(items), torch.tensor(scores).float()
    arrays = np.array(users, ids), np.array(items, ids), np.array(scores, stars)
    expected = run_mf([plain], [plain]).tolist()
    assert run_mf([arrays], [arrays]).tolist() == expected
    frame = pd.DataFrame(dict(zip(("u", "i", "s"), arrays, strict=True)))
    columns = [(frame["u"], frame["i"], frame["s"])]
    assert run_mf(columns, columns).tolist() == expected
    loaded = DataLoader(TensorDataset(*map(torch.from_numpy, arrays)), 5)
    assert run_mf(loaded, loaded).tolist() == expected
    assert run_mf(*[d2l.load_array(arrays, 5, is_train=False)] * 2).tolist() == expected


@pytest.mark.parametrize("batch", ["words", {"rows": ROWS}, None, [["a", "b"]], [object()]])
def test_a_batch_of_anything_else_is_refused(batch):
    with pytest.raises(TypeError, match="a batch has to be a tensor or an array of numbers, or"):
        run_autorec([batch], None, None)
    with pytest.raises(TypeError, match="a batch has to be a tensor or an array of numbers, or"):
        run_autorec([ROWS], [batch], TEST)


def test_a_generator_lasts_for_one_epoch():
    rows = torch.tensor(ROWS).float()
    once = run_autorec((batch for batch in [rows]), [rows], TEST, num_epochs=1)
    assert once.tolist() == run_autorec([rows], [rows], TEST, num_epochs=1).tolist()
    with pytest.raises(ValueError, match=r"train_iter gives no batch in epoch 2: .* a generator"):
        run_autorec((batch for batch in [rows]), [rows], TEST)
    with pytest.raises(ValueError, match=r"test_iter gives no batch, or can be used only once"):
        run_autorec([rows], (batch for batch in [rows]), TEST)


def test_a_target_of_another_shape_than_the_prediction_is_refused():
    """torch would compare every prediction with every rating, with no more than a warning."""
    ids, column = torch.tensor([0, 1, 2]), torch.tensor([[5.0], [4], [1]])
    with pytest.raises(ValueError, match=r"predicts \(3,\), but the target, .*, is \(3, 1\)"):
        run_mf([(ids, ids, column)], None)
    with pytest.raises(ValueError, match="differ in shape"):
        run_mf([(ids, ids, column[:, 0])], [(ids, ids, column)])


@pytest.mark.parametrize("rows", [2, 4])
def test_a_test_iter_of_another_length_than_the_test_matrix_is_refused(rows):
    with pytest.raises(ValueError, match=rf"predictions \(3, 4\) and ratings \({rows}, 4\) diff"):
        run_autorec([ROWS], [ROWS], np.ones((rows, 4)))


def test_batches_of_the_other_model_are_refused():
    ids, stars = torch.tensor([0, 1, 2]), torch.tensor([5.0, 4, 1])
    with pytest.raises(ValueError, match="must be users, items and scores; got 1 tensors"):
        run_autorec([ROWS], [ROWS], None)
    with pytest.raises(ValueError, match="must be rows of the matrix of ratings; got 3 tensors"):
        run_autorec([ROWS], [(ids, ids, stars)], TEST)


@pytest.mark.parametrize("devices", ["cpu", torch.device("cpu"), ["cpu"], CPU, None])
def test_one_device_needs_no_list(devices):
    rows = d2l.load_array(ROWS, 2, is_train=False)
    found = run_autorec(rows, rows, TEST, devices=devices)
    assert found.tolist() == run_autorec(rows, rows, TEST).tolist()


@pytest.mark.parametrize("num_epochs", [np.int64(2), np.uint8(2)])
def test_epochs_may_come_out_of_numpy(num_epochs):
    assert len(run_autorec([ROWS], [ROWS], TEST, num_epochs=num_epochs)) == 2


# Where it runs


def test_the_net_and_every_batch_go_to_the_first_device(setting, monkeypatch):
    moved = []

    class Watched(torch.Tensor):
        def to(self, target):
            if isinstance(target, torch.dtype):
                return self
            moved.append(target)
            return self.as_subclass(torch.Tensor)

    def watched(batch):
        if isinstance(batch, torch.Tensor):
            return batch.as_subclass(Watched)
        return [tensor.as_subclass(Watched) for tensor in batch]

    made = setting()
    made["train_iter"] = [watched(batch) for batch in made["train_iter"]]
    made["devices"] = [torch.device("cpu", 0)]  # told apart from a plain "cpu"
    monkeypatch.setattr(made["net"], "to", moved.append)
    d2l.train_recsys_rating(**made, num_epochs=1)
    tensors = [t for b in made["train_iter"] for t in ([b] if isinstance(b, torch.Tensor) else b)]
    assert moved == made["devices"] * (1 + len(tensors))


def test_devices_are_all_gpus_or_the_cpu_unless_named(autorec, monkeypatch):
    given = []
    monkeypatch.setattr(devices_module, "try_all_gpus", lambda: given.append(1) or CPU)
    d2l.train_recsys_rating(**autorec(), num_epochs=1)
    assert given == []
    d2l.train_recsys_rating(**autorec() | {"devices": None}, num_epochs=1)
    assert given == [1]


def test_several_gpus_share_each_batch(monkeypatch):
    gpus = [torch.device("cuda", 0), torch.device("cuda", 1)]
    net = nn.Linear(1, 1)
    monkeypatch.setattr(net, "to", lambda device: net)
    monkeypatch.setattr(nn, "DataParallel", lambda *args: args)
    assert devices_module.parallelize(net, gpus) == (net, gpus)
    assert devices_module.parallelize(net, gpus[:1]) is net


def test_what_shares_the_batches_is_what_is_trained(autorec, monkeypatch):
    class Parallel(nn.Module):
        def __init__(self, net, devices):
            super().__init__()
            self.net, self.devices, self.batches = net, devices, []

        def forward(self, ratings):
            self.batches.append(len(ratings))
            return self.net(ratings)

    made = autorec()
    parallel = Parallel(made["net"], made["devices"])
    monkeypatch.setattr(
        training, "parallelize", lambda *args: parallel if args == (made["net"], CPU) else None
    )
    d2l.train_recsys_rating(**made, num_epochs=2)
    assert parallel.batches == [5, 5, 2] * 2  # and not the batches of the evaluation


@pytest.mark.parametrize("count", [0, 2])
def test_try_gpu_falls_back_on_the_cpu(monkeypatch, count):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    cpu, gpus = torch.device("cpu"), [torch.device("cuda", i) for i in range(count)]
    assert [d2l.try_gpu(i) for i in range(3)] == (gpus + [cpu] * 3)[:3]
    assert d2l.try_gpu() == (gpus or CPU)[0]
    assert d2l.try_all_gpus() == (gpus or CPU)


def test_there_are_no_worker_processes():
    assert d2l.get_dataloader_workers() == 0


# What it shows


def test_it_prints_one_closing_line_in_stars(setting, capsys):
    last = d2l.train_recsys_rating(**setting(), num_epochs=3).iloc[-1]
    assert capsys.readouterr().out == (
        f"train RMSE {last['train_rmse']:.3f}, test RMSE {last['test_rmse']:.3f} stars\n"
    )


def test_the_progress_bar_shows_both_errors_and_the_pace(autorec, monkeypatch):
    screen = io.StringIO()
    # Whatever TQDM_DISABLE says to the rest of the tests.
    monkeypatch.setattr(training, "tqdm", partial(training.tqdm, file=screen, disable=False))
    last = d2l.train_recsys_rating(**autorec(), num_epochs=3).iloc[-1]
    final = screen.getvalue().split("\r")[-1]
    assert "3/3" in final
    assert f"train_rmse={last['train_rmse']:.4g}" in final
    assert f"test_rmse={last['test_rmse']:.4g}" in final
    assert f"ratings/s={last['ratings_per_s']:.3g}" in final


# When something goes wrong


def test_nan_in_the_data_ends_the_training_in_the_first_epoch(setting, matrices, capsys):
    matrices[0][3, 3] = torch.nan
    with pytest.raises(FloatingPointError, match="the loss is not finite in epoch 1: look for NaN"):
        d2l.train_recsys_rating(**setting(), num_epochs=3, scale=None)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_reported_with_its_epoch(setting, number):
    finished = []

    def loss(predictions, targets):
        return 0 * predictions.sum() + (number if len(finished) == 2 else 1.0)

    def evaluator(*arguments):
        finished.append(1)
        return 1.0

    with pytest.raises(FloatingPointError, match=r"in epoch 3: .* lower the learning rate"):
        d2l.train_recsys_rating(**setting() | {"loss": loss}, num_epochs=9, evaluator=evaluator)


def test_one_bad_batch_among_good_ones_is_enough(autorec):
    made = autorec(dropout=0)
    bad = torch.ones(5, 9)
    bad[2, 3] = torch.nan
    made["trainer"] = torch.optim.SGD(made["net"].parameters(), lr=0)
    made["train_iter"] = [torch.ones(5, 9), bad, torch.ones(5, 9)]
    with pytest.raises(FloatingPointError, match="in epoch 1"):
        d2l.train_recsys_rating(**made, num_epochs=1, scale=None)


@pytest.mark.parametrize("during", ["training", "evaluation"])
@pytest.mark.parametrize("finished", [0, 2])
def test_ctrl_c_returns_the_finished_epochs(autorec, during, finished, capsys):
    made = autorec()
    key = {"training": "train_iter", "evaluation": "test_iter"}[during]

    class Interrupted:
        epochs = 0

        def __iter__(self, batches=made[key]):
            for i, batch in enumerate(batches):
                if i == 1 and self.epochs == finished:
                    raise KeyboardInterrupt
                yield batch
            self.epochs += 1

    history = d2l.train_recsys_rating(**made | {key: Interrupted()}, num_epochs=5)
    assert history.index.tolist() == list(range(1, finished + 1))
    assert list(history.columns) == HISTORY
    first, *closing = capsys.readouterr().out.splitlines()
    assert first == f"stopped by hand after {finished} of 5 epochs"
    assert len(closing) == min(finished, 1)
    expected = d2l.train_recsys_rating(**autorec(), num_epochs=5)["train_rmse"][:finished]
    assert history["train_rmse"].tolist() == expected.tolist()


@pytest.mark.parametrize("num_epochs", [0, -1, 2.5, True, None, "2"])
def test_fewer_than_one_epoch_is_refused(autorec, num_epochs):
    with pytest.raises(ValueError, match=f"num_epochs must .* at least 1, got {num_epochs!r}"):
        d2l.train_recsys_rating(**autorec(), num_epochs=num_epochs)


def test_an_empty_train_iterator_is_refused(autorec):
    with pytest.raises(ValueError, match="train_iter gives no batch"):
        d2l.train_recsys_rating(**autorec() | {"train_iter": []}, num_epochs=1)


def test_a_test_matrix_of_another_shape_is_refused(autorec):
    with pytest.raises(ValueError, match="differ in shape"):
        d2l.train_recsys_rating(**autorec() | {"inter_mat": torch.ones(9, 12)}, num_epochs=1)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_trainer_that_would_leave_the_network_as_it_is_is_refused(autorec, frozen):
    made, other = autorec(), autorec()
    trainer = (made if frozen else other)["trainer"]
    made["net"].requires_grad_(not frozen)
    with pytest.raises(ValueError, match="the trainer holds no parameter of net that requires a"):
        d2l.train_recsys_rating(**made | {"trainer": trainer}, num_epochs=1)


def test_a_trainer_of_some_of_the_parameters_trains_these(autorec):
    made = autorec()
    made["net"].encoder.requires_grad_(False)
    before = made["net"].decoder.bias.clone()
    d2l.train_recsys_rating(**made, num_epochs=1)
    assert not made["net"].decoder.bias.equal(before)


def test_a_scheduler_of_another_optimizer_is_refused(autorec):
    made, other = autorec(), autorec()
    for trainer in (made["trainer"], other["trainer"]):
        scheduler = torch.optim.lr_scheduler.StepLR(trainer, 5)
        if trainer is made["trainer"]:
            d2l.train_recsys_rating(**made, scheduler=scheduler, num_epochs=1)
    with pytest.raises(ValueError, match="the scheduler belongs to another optimizer"):
        d2l.train_recsys_rating(**made, scheduler=scheduler, num_epochs=1)


def test_a_mask_is_no_target(autorec, matrices):
    made = autorec()
    mask = d2l.load_array((matrices[0] > 0,), 5)
    with pytest.raises(TypeError, match="has to hold ratings, it is a mask"):
        d2l.train_recsys_rating(**made | {"train_iter": mask}, num_epochs=1)
    with pytest.raises(ValueError, match=r"got a mask \(bool\)"):
        d2l.train_recsys_rating(**made | {"inter_mat": matrices[1] > 0}, num_epochs=1)


@pytest.mark.parametrize(("variable", "shown"), [({}, True), ({"TQDM_DISABLE": "1"}, False)])
def test_the_progress_bar_obeys_the_environment(variable, shown, monkeypatch):
    code = (
        "import torch, autorec_d2l as d2l\n"
        "X = torch.ones(3, 4)\n"
        "net = d2l.AutoRec(2, 4)\n"
        "trainer = torch.optim.Adam(net.parameters())\n"
        "d2l.train_recsys_rating(net, [X], [X], d2l.L2Loss(), trainer, 1, inter_mat=X)"
    )
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    environment = {**os.environ, **variable}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert ("epoch" in done.stderr) is shown
