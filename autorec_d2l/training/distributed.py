"""Where a model trains: on a CPU, on one GPU or several, or in the processes of ``torchrun``.

Each process of ``torchrun`` holds the whole model and iterates over the same batches; of each batch
it computes every ``world_size``-th row. A single process is the case ``world_size = 1``.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import timedelta

import torch
from torch import distributed as dist
from torch import nn

TIMEOUT = timedelta(minutes=5)  # for one process to wait for the others
# Below this, one thread. On two idle cores a second one saves a fifth of the time on
# MovieLens-100K; with another busy process it triples the time or worse.
SMALL = 500_000  # ratings
DEFAULT_THREADS = torch.get_num_threads()


def try_gpu(i: int = 0) -> torch.device:
    """Return the ``i``-th GPU if there is one, else the CPU."""
    return torch.device("cuda", i) if i < torch.cuda.device_count() else torch.device("cpu")


def try_all_gpus() -> list[torch.device]:
    """Return all GPUs, or ``[cpu]`` if there is none."""
    return [torch.device("cuda", i) for i in range(torch.cuda.device_count())] or [try_gpu()]


@contextmanager
def threads_for(num_ratings: int) -> Iterator[None]:
    """Use one CPU thread in this block if there are few ratings, else all that torch has.

    A number of threads that the caller has set (by ``OMP_NUM_THREADS`` or, after the import of
    this package, by :func:`torch.set_num_threads`) is not changed.

    Example: ``with threads_for(len(data)): train_recsys_rating(...)``
    """
    before = torch.get_num_threads()
    is_set = "OMP_NUM_THREADS" in os.environ or before != DEFAULT_THREADS
    if num_ratings < SMALL and not is_set:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def process_group(device: torch.device | None = None) -> Iterator[list[torch.device]]:
    """Join the processes that ``torchrun`` started, and yield the devices of this one.

    Under ``torchrun`` that is one device: a GPU of its own where this machine has one for each of
    its processes (with ``nccl``), else the CPU (``gloo``). Without ``torchrun`` it is ``device``,
    or all GPUs, or the CPU. Only the first process prints.

    Raises ``ValueError`` if ``device`` names a GPU that all processes of ``torchrun`` would share.
    """
    if not dist.is_available() or not dist.is_torchelastic_launched():
        yield [device] if device else try_all_gpus()
        return
    local_rank, local_size = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if device is None:
        has_gpus = torch.cuda.device_count() >= local_size
        device = try_gpu(local_rank) if has_gpus else torch.device("cpu")
    elif device.type == "cuda" and local_size > 1:
        raise ValueError(f"{local_size} processes cannot share {device}: name no device, or cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Its functions keep the process group of the moment of their import as a default. If the first
    # optimizer imported it, they would keep this group and its threads alive until Python ends,
    # where a thread that frees its last tensor aborts the process.
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    with ExitStack() as stack:
        if rank_and_world_size()[0] > 0:
            # A traceback is printed after this block, so errors are still visible.
            devnull = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(redirect_stdout(devnull))
            stack.enter_context(redirect_stderr(devnull))
        yield [device]
    # Not after an error: a process that failed must not wait for the others here.
    dist.destroy_process_group()
    if device.type == "cpu":  # torch never releases a device mesh: let its threads finish
        time.sleep(0.1)


def rank_and_world_size() -> tuple[int, int]:
    """Return the rank of this process and the number of processes: ``(0, 1)`` for a single one."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def all_reduce_sum(values: torch.Tensor) -> torch.Tensor:
    """Return the sum of a CPU tensor over all processes."""
    if rank_and_world_size()[1] == 1:
        return values
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    values = values.to(device)
    dist.all_reduce(values)
    return values.cpu()


def from_first_process(value: float) -> float:
    """Return the value of the first process in all processes, so that all decide alike."""
    own = value if rank_and_world_size()[0] == 0 else 0.0
    return all_reduce_sum(torch.tensor(own, dtype=torch.float64)).item()


def rng_state(devices: Sequence[torch.device]) -> torch.Tensor:
    """Return the state of torch's random generators, of the CPU and of GPUs among ``devices``.

    It has one row for each process, ``(num_processes, num_bytes)``, uint8.
    """
    rank, world_size = rank_and_world_size()
    states = [torch.get_rng_state(), *map(torch.cuda.get_rng_state, _gpus(devices))]
    rows = torch.zeros(world_size, sum(map(len, states)), dtype=torch.uint8)
    rows[rank] = torch.cat(states)
    return all_reduce_sum(rows)


def restore_rng_state(rows: torch.Tensor, devices: Sequence[torch.device]) -> None:
    """Restore the RNG state that :func:`rng_state` returned."""
    size, gpus = len(torch.get_rng_state()), _gpus(devices)
    row = rows[rank_and_world_size()[0]]
    torch.set_rng_state(row[:size].clone())  # of a view torch would read other bytes
    for gpu, state in zip(gpus, row[size:].chunk(max(len(gpus), 1)), strict=False):
        torch.cuda.set_rng_state(state.clone(), gpu)


def _gpus(devices) -> list[torch.device]:
    return [device for device in map(torch.device, devices) if device.type == "cuda"]


def shard(batch: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    """Return the rows of a batch that this process computes: every ``world_size``-th.

    Raises ``ValueError`` if the batch has fewer rows than there are processes, or is sparse.
    """
    rank, world_size = rank_and_world_size()
    if world_size == 1:
        return batch
    if any(tensor.layout != torch.strided for tensor in batch):
        raise ValueError("several processes can share dense batches only: train in one process")
    if len(batch[-1]) < world_size:
        raise ValueError(
            f"{world_size} processes need batches of {world_size} rows, got one of {len(batch[-1])}"
        )
    return [tensor[rank::world_size] for tensor in batch]


def parallelize(net: nn.Module, devices: list[torch.device]) -> nn.Module:
    """Move ``net`` to ``devices[0]`` and return the module that trains it on all of them.

    In a process group that is :class:`torch.nn.parallel.DistributedDataParallel`, whose backward
    pass averages the gradients of the processes; with several GPUs in one process it is
    :class:`torch.nn.DataParallel`; with one device it is ``net`` itself.

    Raises ``ValueError`` for several devices in a process group, or several that are not GPUs.
    """
    net.to(devices[0])
    rank, world_size = rank_and_world_size()
    if len(devices) > 1 and (world_size > 1 or len(_gpus(devices)) < len(devices)):
        names = ", ".join(map(str, devices))
        raise ValueError(f"{names}: only GPUs share a batch; a process of torchrun has one device")
    if world_size > 1:
        if rank:  # equal seeds would drop the same hidden units in all processes
            torch.manual_seed(torch.initial_seed() + rank)
        return nn.parallel.DistributedDataParallel(net)
    return nn.DataParallel(net, devices) if len(devices) > 1 else net
