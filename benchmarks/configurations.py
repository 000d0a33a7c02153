"""The configurations that `train_time.py` and `train_time_gpu.py` compare."""

import time

import numpy as np
import torch
from torch.utils.data import DataLoader

import autorec_d2l as d2l
from autorec_d2l import sparse
from autorec_d2l.data.rating_scale import STARS

CHOSEN = {"batch_size": 128, "lr": 0.004, "dropout": 0.3, "input_dropout": 0.1}  # by --tune


class Autocast(torch.nn.Module):
    """A network whose matrix products run in bfloat16."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, ratings):
        """Predict."""
        with torch.autocast(ratings.device.type, dtype=torch.bfloat16):
            return self.net(ratings)


class QuickDropout(torch.nn.Dropout):
    """A faster `torch.nn.Dropout`: 16 random bits per number, where torch draws 64.

    `p` is rounded to a multiple of `2**-16`; the scale of the kept numbers uses the rounded
    value, so the expectation is exact. For one seed it drops other units than
    `torch.nn.Dropout`.
    """

    def forward(self, hidden):
        """Drop numbers of a tensor of any shape, in training mode."""
        kept = round((1 - self.p) * 2**16)
        if not self.training or not 0 < kept < 2**16:
            return super().forward(hidden)
        draws = torch.empty(-(-hidden.numel() // 4), dtype=torch.int64, device=hidden.device)
        bits = draws.random_(-(2**63), None).view(torch.int16)  # all 64 bits, four numbers each
        mask = bits[: hidden.numel()].view(hidden.shape) < kept - 2**15
        return hidden * mask.to(hidden.dtype).mul_(2**16 / kept)


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


def train_configuration(name, data_name, matrices, epochs, seed, fast=CHOSEN, device="cpu"):
    """Train one configuration; return its history, with `total_seconds`, evaluation included.

    The training rows lie on the device from the start.
    """
    device, is_sparse = torch.device(device), "sparse" in name
    train, test = (matrix if is_sparse else inter for matrix, inter in matrices)
    torch.manual_seed(seed)
    net = make_net(name, train.shape[1], fast).to(device)
    train_iter, test_iter = loaders(name, data_name, train.to(device), seed, fast)
    evaluate = sparse.evaluator_sparse if is_sparse else d2l.evaluator
    seconds = []

    def timed(*arguments):
        start = time.perf_counter()
        rmse = evaluate(*arguments)
        seconds.append(time.perf_counter() - start)
        return rmse

    if data_name == "1m":
        loss, trainer = papers_objective(net, matrices[0][0], epochs, len(train_iter))
    else:
        loss, trainer = d2ls_objective(name, net, train.shape[1], fast)
    history = d2l.train_recsys_rating(
        net, train_iter, test_iter, loss, trainer, epochs, [device], timed, test
    )
    return history.assign(total_seconds=history["seconds"].to_numpy().cumsum() + np.cumsum(seconds))


def make_net(name, num_users, fast):
    """Return the network of a configuration."""
    if "sparse" in name:
        settings = {}
        if "fast" in name:
            settings = {key: fast[key] for key in ("dropout", "input_dropout")}
            settings["output"] = STARS.bounded
        net = sparse.SparseAutoRec(500, num_users, **settings)
        if "quick" in name or "fast" in name:
            net.dropout = QuickDropout(net.dropout.p)
            net.input_dropout = QuickDropout(net.input_dropout.p)
        return net
    net = d2l.AutoRec(500, num_users)
    return Autocast(net) if "bfloat16" in name else net


def batch_size_of(name, data_name, fast):
    """Return the number of rows in a batch."""
    if data_name == "1m":
        return 512
    return fast["batch_size"] if "fast" in name else 256


def loaders(name, data_name, train, seed, fast):
    """Return the loaders of the training rows for training and for evaluation."""
    batch_size = batch_size_of(name, data_name, fast)
    if name.startswith("PyTorch"):
        workers = 4 if "4 workers" in name else 0
        return (
            DataLoader(train, batch_size, shuffle=True, num_workers=workers),
            DataLoader(train, 1024, num_workers=workers),
        )
    # d2l's setting where all other settings are d2l's; the others were chosen without it.
    last_batch = "keep" if data_name == "1m" or "fast" in name else "rollover"
    return (
        d2l.load_array((train,), batch_size, seed=seed, last_batch=last_batch),
        d2l.load_array((train,), 1024, is_train=False),
    )


def d2ls_objective(name, net, num_users, fast):
    """Return loss and Adam as in d2l."""
    is_ours, lr = name.startswith("ours"), fast["lr"] if "fast" in name else 0.002
    cells = batch_size_of(name, "100k", fast) * num_users
    fused = True if is_ours else None
    trainer = torch.optim.Adam(net.parameters(), lr=lr, weight_decay=1e-5, fused=fused)
    return sparse.HalfSumOfSquares(cells) if is_ours else d2l.L2Loss(), trainer


def papers_objective(net, train, epochs, num_batches):
    """Return loss and one-cycle Adam for half the sum of squares + 50 (|V|^2 + |W|^2).

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
    trainer.register_step_post_hook(lambda *_: scheduler.step())
    return sparse.HalfSumOfSquares(1), trainer
