"""Where a model trains: on a CPU, on one GPU or several, or in the processes of ``torchrun``.

Each process of ``torchrun`` holds the whole model and walks through the same batches; it computes
every ``size``-th row of each. One process alone is the case ``size = 1`` of the same code.
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

# How long one process waits for the others before it gives up with an error.
TIMEOUT = timedelta(minutes=5)
# Below so many ratings one thread. On two idle cores a second one saves a fifth of the time on
# MovieLens-100K; with one other busy process there it costs three times that time and more.
SMALL = 500_000
THREADS = torch.get_num_threads()  # what torch chose by itself, or was told before this line


def try_gpu(i: int = 0) -> torch.device:
    """Return the ``i``-th GPU if there is one, else the CPU."""
    return torch.device("cuda", i) if i < torch.cuda.device_count() else torch.device("cpu")


def try_all_gpus() -> list[torch.device]:
    """Return all GPUs, or a list of the CPU alone."""
    return [torch.device("cuda", i) for i in range(torch.cuda.device_count())] or [try_gpu()]


def device_list(devices: Sequence[torch.device] | torch.device | str | None) -> list[torch.device]:
    """Return devices as a list: of one alone a list of one, of none all GPUs or else the CPU."""
    if isinstance(devices, str | torch.device):
        return [torch.device(devices)]
    if not devices:
        return try_all_gpus()
    return devices if isinstance(devices, list) else list(devices)


@contextmanager
def threads_for(num_ratings: int) -> Iterator[None]:
    """Compute on one CPU thread in this block if there are few ratings, else on all that torch has.

    Threads wait for each other in every step, and on a machine with other work they wait long.
    A number of threads that the caller has set (by ``OMP_NUM_THREADS`` or, after the import of
    this package, by :func:`torch.set_num_threads`) stays as it is; one that was changed here is
    restored at the end.

    Example: ``with threads_for(len(data)): train_recsys_rating(...)``
    """
    before = torch.get_num_threads()
    is_set = "OMP_NUM_THREADS" in os.environ or before != THREADS
    if num_ratings < SMALL and not is_set:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def process_group(device: torch.device | None = None) -> Iterator[list[torch.device]]:
    """Join the processes that ``torchrun`` started, and give this one its devices.

    Under ``torchrun`` that is one device: a GPU of its own where this machine has one for each of
    its processes (talking by ``nccl``), else the CPU (``gloo``). Without ``torchrun`` it is
    ``device``, or all GPUs, or the CPU. Only the first process prints.

    Raises ``ValueError`` if ``device`` names a GPU that all processes of ``torchrun`` would share.
    """
    if not dist.is_available() or not dist.is_torchelastic_launched():
        yield [device] if device else try_all_gpus()
        return
    local_rank, local_size = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if device is None:
        enough = torch.cuda.device_count() >= local_size
        device = try_gpu(local_rank) if enough else torch.device("cpu")
    elif device.type == "cuda" and local_size > 1:
        raise ValueError(
            f"{local_size} processes cannot share {device}: name no device, and each takes a GPU "
            "of its own, or name cpu"
        )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Its functions hold the group of the moment of their import as a default. Left to the first
    # optimizer, which imports it too, they would hold this one, and its threads with it. A thread
    # that lets go of its last tensor while Python ends aborts the process.
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    with ExitStack() as silence:
        if rank_and_size()[0] > 0:
            # A traceback is printed after this block, so errors are seen all the same.
            nowhere = silence.enter_context(open(os.devnull, "w", encoding="utf-8"))
            silence.enter_context(redirect_stdout(nowhere))
            silence.enter_context(redirect_stderr(nowhere))
        yield [device]
    # Not after an error: a process that failed must not wait for the others here.
    dist.destroy_process_group()
    if device.type == "cpu":  # a device mesh is held by torch for ever: let its threads let go
        time.sleep(0.1)


def rank_and_size() -> tuple[int, int]:
    """Return the number of this process, from 0, and how many there are: ``(0, 1)`` for one."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def add_up(sums: torch.Tensor) -> torch.Tensor:
    """Return the sum of a tensor over all processes."""
    if rank_and_size()[1] > 1:
        dist.all_reduce(sums)
    return sums


def random_state(devices: Sequence[torch.device]) -> torch.Tensor:
    """Return the state of torch's random numbers on the CPU and on GPUs among ``devices``.

    It has one row for each process, ``(num_processes, num_bytes)``, uint8.
    """
    rank, size = rank_and_size()
    states = [torch.get_rng_state(), *map(torch.cuda.get_rng_state, _gpus(devices))]
    rows = torch.zeros(size, sum(map(len, states)), dtype=torch.uint8)
    rows[rank] = torch.cat(states)
    return add_up(rows.to(devices[0])).cpu()


def restore_random(rows: torch.Tensor, devices: Sequence[torch.device]) -> None:
    """Put torch's random numbers where :func:`random_state` found them."""
    size, gpus = len(torch.get_rng_state()), _gpus(devices)
    row = rows[rank_and_size()[0]]
    torch.set_rng_state(row[:size].clone())  # of a view torch would read other bytes
    for gpu, state in zip(gpus, row[size:].chunk(max(len(gpus), 1)), strict=False):
        torch.cuda.set_rng_state(state.clone(), gpu)


def _gpus(devices) -> list[torch.device]:
    return [device for device in map(torch.device, devices) if device.type == "cuda"]


def own_rows(batch: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    """Return the rows of a batch that this process computes: every ``size``-th of each tensor.

    Raises ``ValueError`` if the batch has fewer rows than there are processes, or is sparse.
    """
    rank, size = rank_and_size()
    if size == 1:
        return batch
    if any(tensor.layout != torch.strided for tensor in batch):
        raise ValueError(
            f"{size} processes share dense batches, not sparse ones: train in one process, or cut "
            "the work by hand as the chapter on cost does"
        )
    if len(batch[-1]) < size:
        raise ValueError(
            f"{size} processes share batches of at least {size} rows, got one of "
            f"{len(batch[-1])}: choose another batch_size"
        )
    return [tensor[rank::size] for tensor in batch]


def parallelize(net: nn.Module, devices: list[torch.device]) -> nn.Module:
    """Move ``net`` to ``devices[0]`` and return what trains it on all of them.

    In a process group that is :class:`torch.nn.parallel.DistributedDataParallel`, whose backward
    pass averages the gradients of the processes; with several GPUs in one process it is
    :class:`torch.nn.DataParallel`; with one device it is ``net`` itself.

    Raises ``ValueError`` for several devices in a process group, or several that are no GPUs.
    """
    net.to(devices[0])
    rank, size = rank_and_size()
    if len(devices) > 1 and (size > 1 or len(_gpus(devices)) < len(devices)):
        names = ", ".join(map(str, devices))
        raise ValueError(
            f"got the devices {names}: one process splits a batch over GPUs only, "
            "and a process of torchrun has one device"
        )
    if size > 1:
        if rank:  # the processes start with one seed, but must not drop the same units
            torch.manual_seed(torch.initial_seed() + rank)
        return nn.parallel.DistributedDataParallel(net)
    return nn.DataParallel(net, devices) if len(devices) > 1 else net
