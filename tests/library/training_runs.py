"""Small training runs that several test files share: arguments of `train_recsys_rating`."""

import torch

import autorec_d2l as d2l
from autorec_d2l.sparse import HalfSumOfSquares, RatingMatrix, SparseAutoRec, evaluator_sparse

CPU = [torch.device("cpu")]


def matrices():
    """A training and a test matrix, (12, 9); the last training row is empty."""
    random = torch.Generator().manual_seed(0)
    stars = torch.randint(1, 6, (12, 9), generator=random).float()
    part = torch.rand(12, 9, generator=random)
    part[-1] = 1
    return stars * (part < 0.5), stars * (part > 0.7)


def compress(dense):
    rows, columns = dense.nonzero(as_tuple=True)
    return RatingMatrix(rows, columns, dense[rows, columns], tuple(dense.shape))


def autorec(last_batch="keep", lr=0.05, num_hidden=4, dropout=0.3):
    """Batches of 5, 5 and 2 rows."""
    train, test = matrices()
    torch.manual_seed(0)
    net = d2l.AutoRec(num_hidden, 9, dropout)
    return {
        "net": net,
        "train_iter": d2l.load_array((train,), 5, last_batch=last_batch),
        "test_iter": d2l.load_array((train,), 5, is_train=False),
        "loss": d2l.L2Loss(),
        "trainer": torch.optim.Adam(net.parameters(), lr=lr),
        "inter_mat": test,
        "devices": CPU,
    }


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
    }


def sparse():
    train, test = map(compress, matrices())
    torch.manual_seed(0)
    net = SparseAutoRec(4, 9, 0.3, input_dropout=0.2)
    return autorec() | {
        "net": net,
        "train_iter": d2l.load_array((train,), 5, last_batch="rollover"),
        "test_iter": d2l.load_array((train,), 5, is_train=False),
        "loss": HalfSumOfSquares(45),
        "trainer": torch.optim.Adam(net.parameters(), lr=0.05, fused=True),
        "evaluator": evaluator_sparse,
        "inter_mat": test,
    }


def train(run, num_epochs=4, **options):
    """Return the losses, one pair per epoch."""
    history = d2l.train_recsys_rating(**run | {"num_epochs": num_epochs} | options)
    return history[["train_rmse", "test_rmse"]].to_numpy().tolist()
