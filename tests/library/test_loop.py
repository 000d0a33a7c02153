"""The training loop against a loop written out, its callbacks, and what it refuses."""

import io
import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from training_runs import CPU, autorec, matrices, mf, train

import autorec_d2l as d2l
from autorec_d2l.training import Callback, callbacks

HISTORY = ["train_rmse", "test_rmse", "seconds", "ratings_per_s", "cells_per_s"]


# What it computes


@pytest.mark.parametrize("make", [autorec, mf])
def test_losses_are_those_of_a_loop_written_out(make):
    run, expected = make(), []
    net, trainer = run["net"], run["trainer"]

    def errors_of(batch):
        *inputs, target = batch if isinstance(batch, list) else [batch]
        predictions = net(*inputs) if inputs else net(target)
        return predictions - target, target > 0

    for _ in range(4):
        train_errors = []
        net.train()
        for batch in run["train_iter"]:
            errors, rated = errors_of(batch)
            trainer.zero_grad()
            (0.5 * (errors**2).mean()).backward()
            trainer.step()
            train_errors.append(errors[rated].detach())
        net.eval()
        with torch.no_grad():
            if "inter_mat" in run:
                test = run["inter_mat"]
                predictions = torch.cat([net(rows) for rows in run["test_iter"]])
                test_errors = [(predictions - test)[test > 0]]
            else:
                test_errors = [errors_of(batch)[0] for batch in run["test_iter"]]
        pair = torch.cat(train_errors), torch.cat(test_errors)
        expected.append(pytest.approx([math.sqrt(e.square().mean()) for e in pair], rel=1e-5))
    assert train(make()) == expected


@pytest.mark.parametrize("make", [autorec, mf])
def test_the_history_has_one_row_per_epoch(make, capsys):
    history = d2l.train_recsys_rating(**make(), num_epochs=np.int64(3))
    assert list(history.columns) == HISTORY
    assert (history.index.name, history.index.tolist()) == ("epoch", [1, 2, 3])
    num_ratings = matrices()[0].count_nonzero().item()
    counts = {
        "ratings_per_s": num_ratings,
        "cells_per_s": 12 * 9 if make is autorec else num_ratings,
    }
    for name, count in counts.items():
        assert (history[name] * history["seconds"]).tolist() == [pytest.approx(count)] * 3
    assert capsys.readouterr() == ("", "")


def test_it_trains_in_training_mode_whatever_the_mode_before():
    run = autorec()
    run["net"].eval()
    losses = train(run, evaluator=lambda net, *_: d2l.evaluator(net.eval(), *_))
    assert losses == train(autorec())


def test_train_rmse_counts_ratings_only_even_if_the_network_does_not_mask():
    class Plus(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.tensor(2.0))

        def forward(self, ratings):
            return ratings + self.shift

    net = Plus()
    run = autorec() | {"net": net, "trainer": torch.optim.SGD(net.parameters(), lr=0)}
    assert [row[0] for row in train(run, 1)] == [pytest.approx(2)]
    run["train_iter"] = [torch.zeros(5, 9)]
    assert math.isnan(train(run, 1)[0][0])


@pytest.mark.parametrize("make", [autorec, mf])
def test_the_evaluator_is_called_as_in_d2l(make):
    run, calls = make(), []
    losses = train(run, 2, evaluator=lambda *args: calls.append(args) or torch.tensor(0.5))
    assert [row[1] for row in losses] == [0.5, 0.5]
    names = ["net", "test_iter", "inter_mat"][: 3 if make is autorec else 2]
    for *call, devices in calls:
        assert all(a is run[name] for a, name in zip(call, names, strict=True))
        assert devices == CPU


# What it takes


ROWS, TEST = matrices()


@pytest.mark.parametrize(
    ("batches", "test"),
    [
        (list(ROWS.double().split(5)), TEST.double()),
        ([(rows.numpy(),) for rows in ROWS.split(5)], TEST.numpy()),
        (DataLoader(TensorDataset(ROWS.byte()), 5), pd.DataFrame(TEST.numpy())),
        (d2l.load_array(ROWS.half().numpy(), 5, is_train=False), TEST.tolist()),
    ],
    ids=["list", "arrays", "DataLoader", "load_array"],
)
def test_autorec_takes_batches_of_any_kind_and_number_type(batches, test):
    expected = train(autorec(dropout=0) | {"train_iter": ROWS.split(5)})
    same = {"train_iter": batches, "test_iter": batches, "inter_mat": test}
    assert np.allclose(train(autorec(dropout=0) | same), expected, rtol=1e-6)


# Callbacks


class Recorder(Callback):
    def __init__(self, stop_after=99):
        self.calls, self.stop_after = [], stop_after

    def on_start(self, run):
        self.calls.append("start")

    def should_stop(self):
        return len(self.calls) > self.stop_after

    def on_epoch_end(self, run):
        self.calls.append(run.history[-1]["train_rmse"])

    def on_end(self, run):
        self.calls.append("end")


def test_callbacks_see_each_epoch_and_can_stop_the_run():
    recorder = Recorder(stop_after=2)
    losses = train(autorec(), 5, test_iter=None, callbacks=[Callback(), recorder])
    assert recorder.calls == ["start", *(row[0] for row in losses), "end"]
    assert [math.isnan(row[1]) for row in losses] == [True, True]


def test_early_stopping_restores_the_weights_of_the_best_epoch():
    errors = [1.0, 0.9, 0.95, 0.8, 0.8, 0.85, 0.7]  # the second 0.8 is not lower
    given, run = iter(errors), autorec()
    stopping = d2l.EarlyStopping(2)
    losses = train(run, 7, evaluator=lambda *_: next(given), callbacks=[stopping])
    assert [row[1] for row in losses] == errors[:6]
    expected = autorec()
    train(expected, 4, evaluator=lambda *_: 1.0)
    assert all(map(torch.equal, run["net"].parameters(), expected["net"].parameters()))
    again = iter(errors)
    assert len(train(autorec(), 7, evaluator=lambda *_: next(again), callbacks=[stopping])) == 6


def test_early_stopping_refuses_what_it_cannot_use():
    with pytest.raises(ValueError, match="patience must be an integer, at least 1, got 0"):
        d2l.EarlyStopping(0)
    with pytest.raises(ValueError, match="EarlyStopping needs a test_iter"):
        train(autorec(), test_iter=None, callbacks=[d2l.EarlyStopping(1)])


def test_the_progress_bar_shows_both_errors(monkeypatch):
    screen = io.StringIO()
    # Whatever TQDM_DISABLE is for the other tests.
    monkeypatch.setattr(callbacks, "tqdm", partial(callbacks.tqdm, file=screen, disable=False))
    train_rmse, test_rmse = train(autorec(), 3, callbacks=[d2l.ProgressBar()])[-1]
    final = screen.getvalue().split("\r")[-1]
    for part in ("3/3", f"train_rmse={train_rmse:.4g}", f"test_rmse={test_rmse:.4g}"):
        assert part in final


@pytest.mark.parametrize(("during", "finished"), [("train_iter", 0), ("test_iter", 2)])
def test_ctrl_c_with_a_progress_bar_returns_the_finished_epochs(during, finished, capsys):
    class Interrupted:
        def __init__(self, batches):
            self.batches, self.epochs = batches, 0

        def __iter__(self):
            for i, batch in enumerate(self.batches):
                if i == 1 and self.epochs == finished:
                    raise KeyboardInterrupt
                yield batch
            self.epochs += 1

    def interrupted(*callbacks):
        run = autorec()
        return train(run | {during: Interrupted(run[during])}, 5, callbacks=callbacks)

    recorder = Recorder()
    assert interrupted(d2l.ProgressBar(), recorder) == train(autorec(), 5)[:finished]
    assert recorder.calls[-1] == "end"
    assert capsys.readouterr().out == f"interrupted after {finished} of 5 epochs\n"
    with pytest.raises(KeyboardInterrupt):
        interrupted()


# What it refuses


@pytest.mark.parametrize(("make", "bad_batch"), [(autorec, 0), (mf, 2)])
def test_one_loss_that_is_not_finite_is_an_error(make, bad_batch):
    calls = []

    def loss(predictions, target):
        calls.append(1)
        return predictions.sum() * (math.inf if len(calls) == bad_batch + 1 else 0)

    with pytest.raises(FloatingPointError, match="the loss is not finite: look for NaN in"):
        train(make(), loss=loss)


def negative():
    ratings = matrices()[0]
    return [ratings, torch.where(ratings == 1, -1.0, ratings)]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_epochs": 0}, ValueError, "num_epochs must be an integer, at least 1, got 0"),
        ({"train_iter": []}, ValueError, "the data iterator yields no batch"),
        ({"train_iter": iter([matrices()[0]])}, ValueError, "can be used only once"),
        ({"train_iter": [matrices()[0] > 0]}, TypeError, r"must hold ratings, got a mask \(bool\)"),
        ({"train_iter": negative()}, ValueError, "a dense matrix holds negative ratings"),
        ({"test_iter": iter([matrices()[0]])}, ValueError, "can be used only once"),
        ({"inter_mat": matrices()[1] > 0}, ValueError, r"got a mask \(bool\)"),
        ({"inter_mat": torch.ones(9, 12)}, ValueError, "differ in shape"),
        ({"trainer": autorec()["trainer"]}, ValueError, "trainer holds no parameter of net"),
    ],
)
def test_faulty_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        train(autorec(), **options)


def test_a_target_that_predictions_would_be_broadcast_to_is_refused():
    run = mf()
    column = [[users, items, scores[:, None]] for users, items, scores in run["train_iter"]]
    with pytest.raises(ValueError, match=r"predictions \(8,\) and ratings \(8, 1\) differ"):
        train(run | {"train_iter": column})
