"""What each process of torchrun does in test_distributed: python torchrun_worker.py FOLDER."""

import json
import sys
from pathlib import Path

import torch

import autorec_d2l as d2l
from autorec_d2l.training import Callback
from autorec_d2l.training.distributed import rank_and_world_size, shard


def make_ratings():
    """23 rows; every other one has a single rating, its neighbours up to twelve."""
    random = torch.Generator().manual_seed(0)
    ratings = torch.randint(1, 6, (23, 12), generator=random).float()
    ratings[1::2, 1:] = 0
    ratings[::2][torch.rand(12, 12, generator=random) < 0.3] = 0
    return ratings


def train(devices, num_epochs, ratings=None, dropout=0.0, batch_size=10, **options):
    """Batches of 10, 10 and 3 rows; return weights and losses as lists."""
    ratings = make_ratings() if ratings is None else ratings
    torch.manual_seed(0)
    net = d2l.AutoRec(6, 12, dropout)
    trainer = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=1e-3)
    train_iter = d2l.load_array((ratings,), batch_size)
    test_iter = d2l.load_array((ratings,), 64, is_train=False)
    history = d2l.train_recsys_rating(
        net, train_iter, test_iter, d2l.L2Loss(), trainer, num_epochs, devices, inter_mat=ratings,
        **options,
    )  # fmt: skip
    losses = history[["train_rmse", "test_rmse"]].to_numpy().tolist()
    return {"weights": torch.cat([p.flatten() for p in net.parameters()]).tolist(), "rmse": losses}


class StopsLastProcess(Callback):
    """Wants to stop after two epochs, but only in the last process."""

    def on_epoch_end(self, run):
        self.epoch = len(run.history)

    def should_stop(self):
        rank, size = rank_and_world_size()
        return rank == size - 1 and getattr(self, "epoch", 0) == 2


def rmse_of_this_process():
    """Fall until the third epoch in the first process, until the first in the others."""
    best, epochs = (3 if rank_and_world_size()[0] == 0 else 1), []
    return lambda *_: epochs.append(1) or 1.0 + abs(len(epochs) - best)


def refusal(function, *arguments, **options):
    try:
        function(*arguments, **options)
    except (ValueError, FloatingPointError) as error:
        return str(error)


def report(devices, folder):
    path = Path(folder) / f"run{rank_and_world_size()[1]}.pt"
    path_of_one, stopping = Path(folder) / "run1.pt", d2l.EarlyStopping(2)
    trained = train(devices, 4)
    seed = torch.initial_seed()
    straight = train(devices, 4, dropout=0.4)
    for num_epochs in (2, 4):
        resumed = train(devices, num_epochs, dropout=0.4, callbacks=[d2l.Checkpoint(path)])
    stopped = train(devices, 9, evaluator=rmse_of_this_process(), callbacks=[stopping])
    by_last = train(devices, 9, callbacks=[StopsLastProcess()])
    broken, negative = make_ratings(), make_ratings()
    broken[22], negative[22] = torch.nan, -1  # in a batch one process computes it
    cpus = [torch.device("cpu")] * 2
    return trained | {
        "seed": seed,
        "is_resumed_alike": resumed == straight,
        "stopped": [stopped, by_last],
        "errors": {
            "nan": refusal(train, devices, 2, broken),
            "negative": refusal(train, devices, 2, negative),
            "few rows": refusal(train, devices, 1, batch_size=11),
            "sparse": refusal(shard, [make_ratings().to_sparse()]),
            "several devices": refusal(train, cpus, 1),
            "other world size": refusal(train, devices, 4, callbacks=[d2l.Checkpoint(path_of_one)]),
        },
    }


def thread_names():
    return sorted(path.read_text() for path in Path("/proc/self/task").glob("*/comm"))


def main(folder):
    threads = thread_names()
    with d2l.process_group(torch.device("cpu")) as devices:
        rank, size = rank_and_world_size()
        print(f"printed by process {rank}")
        found = report(devices, folder)
        has_gloo = any("gloo" in name for name in thread_names())
    found["threads"] = [threads, thread_names(), has_gloo]
    (Path(folder) / f"{size}.{rank}").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
