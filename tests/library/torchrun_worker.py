"""What each process of torchrun does in test_distributed: python torchrun_worker.py FOLDER."""

import json
import sys
from pathlib import Path

import torch
import training_runs
from training_runs import CPU, autorec, matrices

import autorec_d2l as d2l
from autorec_d2l.training import Callback
from autorec_d2l.training.distributed import rank_and_world_size, shard


def train(num_epochs, dropout=0.0, **options):
    """Batches of 5, 5 and 2 rows; return weights and losses as lists."""
    run = autorec(dropout=dropout)
    losses = training_runs.train(run, num_epochs, **options)
    weights = torch.cat([p.flatten() for p in run["net"].parameters()]).tolist()
    return {"weights": weights, "rmse": losses}


def loader(last_row=0.0, batch_size=5):
    """The training rows; one process computes the last one."""
    ratings = matrices()[0]
    ratings[-1] = last_row
    return d2l.load_array((ratings,), batch_size)


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


def report(folder):
    path = Path(folder) / f"run{rank_and_world_size()[1]}.pt"
    path_of_one, stopping = Path(folder) / "run1.pt", d2l.EarlyStopping(2)
    trained = train(4)
    seed = torch.initial_seed()
    straight = train(4, dropout=0.4)
    for num_epochs in (2, 4):
        resumed = train(num_epochs, dropout=0.4, callbacks=[d2l.Checkpoint(path)])
    stopped = train(9, evaluator=rmse_of_this_process(), callbacks=[stopping])
    by_last = train(9, callbacks=[StopsLastProcess()])
    return trained | {
        "seed": seed,
        "is_resumed_alike": resumed == straight,
        "stopped": [stopped, by_last],
        "errors": {
            "nan": refusal(train, 2, train_iter=loader(torch.nan)),
            "negative": refusal(train, 2, train_iter=loader(-1)),
            "few rows": refusal(train, 1, train_iter=loader(batch_size=11)),
            "sparse": refusal(shard, [matrices()[0].to_sparse()]),
            "several devices": refusal(train, 1, devices=CPU * 2),
            "other world size": refusal(train, 4, callbacks=[d2l.Checkpoint(path_of_one)]),
        },
    }


def thread_names():
    return sorted(path.read_text() for path in Path("/proc/self/task").glob("*/comm"))


def main(folder):
    threads = thread_names()
    with d2l.process_group(CPU[0]):
        rank, size = rank_and_world_size()
        print(f"printed by process {rank}")
        found = report(folder)
        has_gloo = any("gloo" in name for name in thread_names())
    found["threads"] = [threads, thread_names(), has_gloo]
    (Path(folder) / f"{size}.{rank}").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
