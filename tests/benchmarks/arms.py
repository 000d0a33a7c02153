"""The contestants of `train_time.py`: what each of them trains, and how."""

import time

import numpy as np
import torch
from torch.utils.data import DataLoader

import autorec_d2l as d2l
from autorec_d2l import sparse
from autorec_d2l.study.fits import train_quietly

CHOSEN = {"batch_size": 128, "lr": 0.002, "dropout": 0.1, "input_dropout": 0.3}  # by --tune


class Autocast(torch.nn.Module):
    """A network whose matrix products run in bfloat16."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, ratings):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.net(ratings)


def load_matrices(data_name, split, validation=False):
    """Return training and held-out part, each as `(RatingMatrix, dense matrix)`, by item."""
    data, *sizes = d2l.read_data_ml1m() if data_name == "1m" else d2l.read_data_ml100k()
    parts = d2l.split_data_ml100k(data, *sizes, seed=split)
    if validation:
        parts = d2l.split_data_ml100k(parts[0], *sizes, seed=1000 + split)
    matrices = []
    for part in parts:
        users, items, stars, inter = d2l.load_data_ml100k(part, *sizes)
        matrices.append((sparse.RatingMatrix(items, users, stars, tuple(inter.shape)), inter))
    return matrices


def train_arm(arm, data_name, matrices, epochs, seed, fast=CHOSEN):
    """Train one arm; return its history with `total_seconds`, evaluation included, by epoch."""
    is_sparse = "sparse" in arm
    train, test = (matrix if is_sparse else inter for matrix, inter in matrices)
    num_users, is_fast = train.shape[1], "fast" in arm
    torch.manual_seed(seed)
    net = make_net(arm, num_users, fast)
    batch_size = 512 if data_name == "1m" else fast["batch_size"] if is_fast else 256
    if arm.startswith("PyTorch"):
        workers = 4 if "4 workers" in arm else 0
        train_iter = DataLoader(train, batch_size, shuffle=True, num_workers=workers)
        test_iter = DataLoader(train, 1024, num_workers=workers)
    else:
        train_iter = d2l.load_array((train,), batch_size, seed=seed)
        test_iter = d2l.load_array((train,), 1024, is_train=False)
    evaluate = sparse.evaluator_sparse if is_sparse else d2l.evaluator
    seconds = []

    def timed(*arguments):
        start = time.perf_counter()
        rmse = evaluate(*arguments)
        seconds.append(time.perf_counter() - start)
        return rmse

    is_ours = arm.startswith("ours")
    if data_name == "1m":
        loss, trainer, scheduler = papers_objective(net, matrices[0][0], epochs, len(train_iter))
    else:
        loss = sparse.HalfSumOfSquares(batch_size * num_users) if is_ours else d2l.L2Loss()
        lr = fast["lr"] if is_fast else 0.002
        trainer = torch.optim.Adam(
            net.parameters(), lr=lr, weight_decay=1e-5, fused=True if is_ours else None
        )
        scheduler = None
    history = train_quietly(
        net, train_iter, test_iter, loss, trainer, epochs, [torch.device("cpu")], timed, test,
        scheduler,
    )  # fmt: skip
    return history.assign(total_seconds=history["seconds"].to_numpy().cumsum() + np.cumsum(seconds))


def make_net(arm, num_users, fast):
    """Return the network of an arm."""
    if "fast" in arm:
        return sparse.SparseAutoRec(
            500,
            num_users,
            fast["dropout"],
            input_dropout=fast["input_dropout"],
            output=STARS.bounded,
        )
    if "sparse" in arm:
        return sparse.SparseAutoRec(500, num_users)
    net = d2l.AutoRec(500, num_users)
    return Autocast(net) if "bfloat16" in arm else net


def papers_objective(net, train, epochs, num_batches):
    """Return loss, Adam and one-cycle rate for half the sum of squares + 50 (|V|^2 + |W|^2).

    That is the sum over an epoch: each batch has its share of the penalty.
    """
    net.dropout.p = 0.0
    torch.nn.init.constant_(net.decoder.bias, float(train.values.mean()))
    weights = [parameter for parameter in net.parameters() if parameter.dim() == 2]
    biases = [parameter for parameter in net.parameters() if parameter.dim() == 1]
    groups = [{"params": weights, "weight_decay": 100.0 / num_batches}, {"params": biases}]
    trainer = torch.optim.Adam(groups, lr=0.002, fused=True)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        trainer, 0.002, epochs=epochs, steps_per_epoch=num_batches
    )
    return sparse.HalfSumOfSquares(1), trainer, scheduler
