"""The AutoRec listing of d2l.ai as a short Gluon program of our own: same model, same settings.

It needs its own interpreter, because MXNet is retired and requires an old numpy:

    python3.11 -m venv mxnet-venv
    mxnet-venv/bin/pip install mxnet==1.9.1 numpy==1.23.5
    mxnet-venv/bin/python benchmarks/mxnet_listing.py train split.npz history.csv
    mxnet-venv/bin/python benchmarks/mxnet_listing.py steps steps.npz

`train` reads the float32 matrices `train` and `test`, (num_items, num_users), 0 = not rated, as
`mxnet_parity.py` writes them, and writes one row an epoch: RMSE in stars, and the seconds of
training and of evaluation. `steps` makes a few Adam steps with dropout off and writes the ratings
and every parameter before and after each step; without `--start` the ratings are synthetic.
"""

import argparse
import csv
import sys
import time

import mxnet as mx
import numpy
from mxnet import autograd, gluon, np, npx
from mxnet.gluon import nn

npx.set_np()

LR, WD = 0.002, 1e-5
BATCH_SIZE, TEST_BATCH_SIZE = 256, 1024
HISTORY = ["epoch", "train_rmse", "test_rmse", "train_seconds", "evaluation_seconds"]
# Gluon's layers hold the same arrays as torch's, under names that differ by the scope alone.
PARAMETERS = ["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"]


class AutoRec(nn.Block):
    """Sigmoid encoder, dropout, linear decoder, output masked while autograd is training."""

    def __init__(self, num_hidden, num_users, dropout=0.05):
        super().__init__()
        self.encoder = nn.Dense(num_hidden, activation="sigmoid")
        self.decoder = nn.Dense(num_users)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ratings):
        """Rebuild rows of ratings, (batch, num_users)."""
        predictions = self.decoder(self.dropout(self.encoder(ratings)))
        return predictions * np.sign(ratings) if autograd.is_training() else predictions


def make_trainer(net):
    """Return Adam with the listing's settings."""
    settings = {"learning_rate": LR, "wd": WD}
    return gluon.Trainer(net.collect_params(), "adam", settings)


def train_batch(net, loss, trainer, ratings):
    """Make one step; return the losses of the rows, (batch,), not yet computed."""
    with autograd.record():
        losses = loss(net(ratings), ratings)
    losses.backward()
    trainer.step(ratings.shape[0])
    return losses


def train_epoch(net, loss, trainer, train_iter):
    """Go through the training rows once; return RMSE in stars, and the seconds of training."""
    squared_error, ratings, seconds = 0.0, 0, 0.0
    start = time.perf_counter()
    for batch in train_iter:
        losses = train_batch(net, loss, trainer, batch)
        # A row's loss is half the mean square over all its cells, masked ones included. Reading
        # it waits for the step, as d2l's loop does.
        squared_error += 2 * batch.shape[1] * float(losses.asnumpy().sum(dtype="float64"))
        seconds += time.perf_counter() - start
        ratings += numpy.count_nonzero(batch.asnumpy())
        start = time.perf_counter()
    return (squared_error / ratings) ** 0.5, seconds + time.perf_counter() - start


def evaluate(net, test_iter, test):
    """Return the RMSE in stars on the rated cells of `test`, and the seconds it took."""
    start = time.perf_counter()
    predictions = numpy.concatenate([net(batch).asnumpy() for batch in test_iter])
    rated = test != 0
    errors = (predictions[rated] - test[rated]).astype("float64")
    return float((errors**2).mean() ** 0.5), time.perf_counter() - start


def train(options):
    """Train as the listing does and write the history."""
    mx.random.seed(options.seed)
    numpy.random.seed(options.seed)  # Gluon shuffles with numpy
    matrices = numpy.load(options.split)
    train_inter, test_inter = matrices["train"], matrices["test"]  # (num_items, num_users)
    train_iter = gluon.data.DataLoader(
        np.array(train_inter),
        BATCH_SIZE,
        shuffle=True,
        last_batch="rollover",
        num_workers=options.workers,
    )
    test_iter = gluon.data.DataLoader(
        np.array(train_inter),
        TEST_BATCH_SIZE,
        last_batch="keep",
        num_workers=options.workers,
    )
    net = AutoRec(500, train_inter.shape[1])
    net.initialize(init=mx.init.Normal(0.01))
    loss, trainer = gluon.loss.L2Loss(), make_trainer(net)
    with open(options.history, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HISTORY)
        for epoch in range(1, options.epochs + 1):
            train_rmse, seconds = train_epoch(net, loss, trainer, train_iter)
            test_rmse, evaluation_seconds = numpy.nan, 0.0
            if not options.no_evaluation:
                test_rmse, evaluation_seconds = evaluate(net, test_iter, test_inter)
            writer.writerow([epoch, train_rmse, test_rmse, seconds, evaluation_seconds])
    print(f"MXNet {mx.__version__}: train RMSE {train_rmse:.3f}, test RMSE {test_rmse:.3f} stars")


def synthetic_start(seed, num_items=48, num_users=40, num_hidden=8, density=0.06):
    """Return random ratings, and start weights as the listing draws them."""
    random = numpy.random.RandomState(seed)
    rated = random.rand(num_items, num_users) < density
    stars = random.randint(1, 6, size=rated.shape)
    shapes = [(num_hidden, num_users), (num_hidden,), (num_users, num_hidden), (num_users,)]
    start = {
        name: (random.normal(0, 0.01, shape) if len(shape) == 2 else numpy.zeros(shape))
        for name, shape in zip(PARAMETERS, shapes, strict=True)
    }
    return {k: v.astype("float32") for k, v in {"ratings": rated * stars, **start}.items()}


def steps(options):
    """Make Adam steps on one whole batch; write each parameter as (1 + steps, *shape)."""
    start = dict(numpy.load(options.start)) if options.start else synthetic_start(options.seed)
    ratings = np.array(start["ratings"])  # (batch, num_users)
    net = AutoRec(start["encoder.bias"].size, ratings.shape[1], dropout=0)
    net.initialize()
    net(ratings)  # Gluon learns the input size from the first batch
    layers = {"encoder": net.encoder, "decoder": net.decoder}
    parameters = {
        name: getattr(layers[name.split(".")[0]], name.split(".")[1]) for name in PARAMETERS
    }
    for name, parameter in parameters.items():
        parameter.set_data(np.array(start[name]))
    loss, trainer = gluon.loss.L2Loss(), make_trainer(net)
    path = {name: [start[name]] for name in PARAMETERS}
    for _ in range(options.steps):
        train_batch(net, loss, trainer, ratings)
        for name, parameter in parameters.items():
            path[name].append(parameter.data().asnumpy())
    numpy.savez_compressed(
        options.target,
        ratings=start["ratings"],
        versions=f"mxnet {mx.__version__}, numpy {numpy.__version__}",
        **{name: numpy.stack(arrays) for name, arrays in path.items()},
    )


def main(arguments=None):
    """Read the options and do one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("train", help="train as the listing does")
    command.add_argument("split", help=".npz with the matrices train and test")
    command.add_argument("history", help="CSV to write")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--epochs", type=int, default=25)
    command.add_argument("--workers", type=int, default=4, help="d2l's default is 4")
    command.add_argument("--no-evaluation", action="store_true")
    command.set_defaults(run=train)
    command = commands.add_parser("steps", help="dump the parameters of a few Adam steps")
    command.add_argument("target", help=".npz to write")
    command.add_argument("--start", help=".npz with ratings and the four start parameters")
    command.add_argument("--seed", type=int, default=0, help="of the synthetic ratings")
    command.add_argument("--steps", type=int, default=10)
    command.set_defaults(run=steps)
    options = parser.parse_args(arguments)
    options.run(options)


if __name__ == "__main__":
    sys.exit(main())
