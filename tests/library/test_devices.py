"""Devices: fakes and the meta device where there is no GPU, the GPU where there is one."""

from types import SimpleNamespace

import pytest
import torch
from torch import distributed as dist
from torch import nn
from torch.overrides import TorchFunctionMode
from training_runs import CPU, autorec, mf, train

import autorec_d2l as d2l
from autorec_d2l.training import distributed

META, GPUS = torch.device("meta"), [torch.device("cuda", 0), torch.device("cuda", 1)]
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
needs_two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")


@pytest.fixture
def torchrun(monkeypatch):
    """Return a function that makes this the second of two processes, on a machine with GPUs."""

    def start(num_gpus):
        calls = []
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
        monkeypatch.setenv("LOCAL_RANK", "1")
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
        monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)
        monkeypatch.setattr(torch.cuda, "set_device", calls.append)
        monkeypatch.setattr(dist, "init_process_group", lambda name, **_: calls.append(name))
        monkeypatch.setattr(dist, "destroy_process_group", lambda: calls.append("end"))
        return calls

    return start


@pytest.mark.parametrize(
    ("num_gpus", "device", "expected", "expected_calls"),
    [
        (0, None, CPU, ["gloo", "end"]),
        (1, None, CPU, ["gloo", "end"]),  # not one process on the GPU and one on the CPU
        (2, None, GPUS[1:], [GPUS[1], "nccl", "end"]),  # the GPU is set before nccl starts on it
        (2, CPU[0], CPU, ["gloo", "end"]),
    ],
)
def test_each_process_takes_its_own_gpu_or_all_take_the_cpu(
    torchrun, num_gpus, device, expected, expected_calls
):
    calls = torchrun(num_gpus)
    with d2l.process_group(device) as devices:
        assert devices == expected
    assert calls == expected_calls


def test_processes_cannot_share_a_gpu_and_do_not_wait_after_an_error(torchrun):
    calls = torchrun(2)
    with (
        pytest.raises(ValueError, match="2 processes cannot share cuda:0"),
        d2l.process_group(GPUS[0]),
    ):
        pass
    assert calls == []
    calls = torchrun(0)
    with pytest.raises(ZeroDivisionError), d2l.process_group():
        raise ZeroDivisionError
    assert calls == ["gloo"]


@pytest.mark.parametrize("num_gpus", [0, 2])
def test_without_torchrun_devices_are_all_gpus_or_the_cpu(monkeypatch, num_gpus):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)
    gpus = GPUS[:num_gpus]
    assert [d2l.try_gpu(i) for i in range(3)] == [*gpus, *CPU * 3][:3]
    assert d2l.try_all_gpus() == distributed.device_list(None) == (gpus or CPU)
    assert distributed.device_list("cpu") == distributed.device_list(CPU[0]) == CPU
    with d2l.process_group() as devices:
        assert devices == (gpus or CPU)
    with d2l.process_group(GPUS[1]) as devices:
        assert devices == [GPUS[1]]
        assert distributed.rank_and_world_size() == (0, 1)


def test_torch_may_be_built_without_distributed(monkeypatch):
    """As for Jetson: its module has is_available and little else."""
    monkeypatch.setattr(distributed, "dist", SimpleNamespace(is_available=lambda: False))
    with d2l.process_group() as devices:
        assert devices == d2l.try_all_gpus()
    assert train(autorec(), 1)


def test_several_gpus_share_each_batch_and_several_cpus_are_refused(monkeypatch):
    net = nn.Linear(1, 1)
    with pytest.raises(ValueError, match=r"cpu, cpu: only GPUs share a batch"):
        distributed.parallelize(net, CPU * 2)
    monkeypatch.setattr(net, "to", lambda device: net)
    monkeypatch.setattr(nn, "DataParallel", lambda *args: args)
    assert distributed.parallelize(net, GPUS) == (net, GPUS)
    assert distributed.parallelize(net, GPUS[:1]) is net


def test_every_tensor_of_a_training_step_is_on_the_device(monkeypatch):
    """On the meta device a tensor that was not moved is an error, as on a GPU."""
    run, steps = autorec(), []
    monkeypatch.setattr(run["trainer"], "step", lambda: steps.append(run["net"].encoder.weight))
    with pytest.raises(RuntimeError, match="Cannot copy out of meta tensor"):
        # Only reading the sums after the last batch needs numbers: no batch waits for the device.
        train(run, 1, devices=[META], test_iter=None)
    assert [weight.device for weight in steps] == [META] * 3


def test_evaluators_move_each_batch_to_the_first_device():
    seen = []

    class Net(nn.Module):
        def forward(self, *inputs):
            seen.extend(tensor.device for tensor in inputs)
            return torch.ones(inputs[0].shape)

    ratings = torch.tensor([[5.0, 0, 3, 1]] * 6)
    d2l.evaluator(Net(), ratings.split(2), ratings, [META, *CPU])
    ids, stars = torch.arange(4), torch.ones(4)
    with pytest.raises(NotImplementedError):  # only the sum at the end needs numbers
        d2l.evaluator_mf(Net(), d2l.load_array((ids, ids, stars), 2, is_train=False), [META])
    assert seen == [META] * (3 + 2 * 2)


class WithoutFloat64(TorchFunctionMode):
    """Run "mps" on the CPU; raise Apple's error for float64 unless a tensor has come from cpu()."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        values = [*args, *kwargs.values()]
        is_mps = any(isinstance(value, torch.device) and value.type == "mps" for value in values)
        is_float64 = function is torch.Tensor.double or any(v is torch.float64 for v in values)
        is_tensor = bool(args) and isinstance(args[0], torch.Tensor)
        if is_float64 and (is_mps or (is_tensor and not hasattr(args[0], "is_back"))):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        if is_mps:
            args = [CPU[0] if isinstance(value, torch.device) else value for value in args]
            kwargs = kwargs | ({"device": CPU[0]} if "device" in kwargs else {})
        result = function(*args, **kwargs)
        if function is torch.Tensor.cpu:
            result.is_back = True
        return result


@pytest.mark.parametrize("make", [autorec, mf])
def test_a_device_without_float64_trains(make):
    with WithoutFloat64():
        losses = train(make(), 2, devices=[torch.device("mps")])
    assert losses == train(make(), 2)


def test_small_work_uses_one_thread_unless_the_caller_has_set_a_number(monkeypatch):
    threads = [3]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(distributed, "DEFAULT_THREADS", 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def number_for(num_ratings):
        with distributed.threads_for(num_ratings):
            return torch.get_num_threads()

    assert [number_for(100_000), threads[-1], number_for(1_000_209)] == [1, 3, 3]
    with pytest.raises(ZeroDivisionError), distributed.threads_for(100_000):
        raise ZeroDivisionError
    assert threads[-1] == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert number_for(100_000) == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    threads.append(2)
    assert number_for(100_000) == 2


@needs_gpu
@pytest.mark.parametrize("devices", [GPUS[:1], pytest.param(GPUS, marks=needs_two_gpus)])
def test_gpus_train_as_the_cpu_does(devices):
    run = autorec(dropout=0)
    losses = train(run, 5, devices=devices)
    assert torch.tensor(losses) == pytest.approx(
        torch.tensor(train(autorec(dropout=0), 5)), abs=1e-3
    )
    assert next(run["net"].parameters()).device == devices[0]
