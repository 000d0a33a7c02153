"""What goes where: fakes and the meta device where there is no GPU, the GPU where there is one."""

from types import SimpleNamespace

import pytest
import torch
from torch import distributed as dist
from torch import nn

import autorec_d2l as d2l
from autorec_d2l import devices as devices_module

CPU, META = torch.device("cpu"), torch.device("meta")
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
        monkeypatch.setattr(torch.cuda, "set_device", lambda device: calls.append(device))
        monkeypatch.setattr(dist, "init_process_group", lambda name, **_: calls.append(name))
        monkeypatch.setattr(dist, "destroy_process_group", lambda: calls.append("end"))
        return calls

    return start


@pytest.mark.parametrize("num_gpus", [0, 1])
def test_without_a_gpu_for_each_process_all_take_the_cpu(torchrun, num_gpus):
    """One GPU for two processes would leave one on the GPU and one on the CPU."""
    calls = torchrun(num_gpus)
    with d2l.process_group() as devices:
        assert devices == [CPU]
    assert calls == ["gloo", "end"]


def test_each_process_takes_a_gpu_of_its_own(torchrun):
    calls = torchrun(2)
    gpu = torch.device("cuda", 1)
    with d2l.process_group() as devices:
        assert devices == [gpu]
    assert calls == [gpu, "nccl", "end"], "the GPU is set before nccl starts on it"


def test_the_cpu_can_be_named_where_there_are_gpus(torchrun):
    calls = torchrun(2)
    with d2l.process_group(CPU) as devices:
        assert devices == [CPU]
    assert calls == ["gloo", "end"]


def test_processes_cannot_share_a_gpu(torchrun):
    calls = torchrun(2)
    with (
        pytest.raises(ValueError, match="2 processes cannot share cuda:0"),
        d2l.process_group(torch.device("cuda", 0)),
    ):
        pass
    assert calls == []


def test_after_an_error_no_process_waits_for_the_others(torchrun):
    calls = torchrun(0)
    with pytest.raises(ZeroDivisionError), d2l.process_group():
        raise ZeroDivisionError
    assert calls == ["gloo"]


@pytest.mark.parametrize(
    ("num_gpus", "device", "expected"),
    [
        (0, None, [CPU]),
        (2, None, [torch.device("cuda", 0), torch.device("cuda", 1)]),
        (2, torch.device("cuda", 1), [torch.device("cuda", 1)]),
    ],
)
def test_without_torchrun_there_is_no_group(monkeypatch, num_gpus, device, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)
    with d2l.process_group(device) as devices:
        assert devices == expected
        assert devices_module.rank_and_world_size() == (0, 1)


def test_torch_may_be_built_without_distributed(monkeypatch):
    """As for Jetson: there the module has is_available and little else."""
    without = SimpleNamespace(is_available=lambda: False)
    monkeypatch.setattr(devices_module, "dist", without)
    with d2l.process_group() as devices:
        assert devices == d2l.try_all_gpus()
    rows, net = torch.ones(3, 4), d2l.AutoRec(2, 4)
    history = d2l.train_recsys_rating(
        net, [rows], [rows], d2l.L2Loss(), torch.optim.Adam(net.parameters()), 1, inter_mat=rows
    )
    assert history["test_rmse"].notna().all()


def test_one_process_does_not_split_over_cpus():
    """torch.nn.DataParallel would fail at the first batch, in words about module_ids."""
    with pytest.raises(ValueError, match=r"got the devices cpu, cpu: .* GPUs only"):
        devices_module.parallelize(nn.Linear(1, 1), [CPU, CPU])


def test_nothing_of_a_training_step_stays_behind_on_the_cpu(monkeypatch):
    """On the meta device a tensor that was not moved is an error, as it is on a GPU."""
    net = d2l.AutoRec(3, 4)
    trainer = torch.optim.Adam(net.parameters())
    steps = []
    monkeypatch.setattr(trainer, "step", lambda: steps.append(net.encoder.weight.device))
    ratings = torch.tensor([[5.0, 0, 3, 1]] * 6)
    with pytest.raises(RuntimeError, match="Cannot copy out of meta tensor"):
        # Only reading the sums, after the last batch, asks for numbers.
        d2l.train_recsys_rating(
            net, d2l.load_array((ratings,), 2), None, d2l.L2Loss(), trainer, 1, devices=[META]
        )
    assert steps == [META] * 3


def test_the_evaluators_move_each_batch_to_the_first_device():
    seen = []

    class Net(nn.Module):
        def forward(self, *inputs):
            seen.extend(tensor.device for tensor in inputs)
            return torch.ones(inputs[0].shape)

    ratings = torch.tensor([[5.0, 0, 3, 1]] * 6)
    d2l.evaluator(Net(), d2l.load_array((ratings,), 2, is_train=False), ratings, [META, CPU])
    assert seen == [META] * 3
    ids, stars = torch.arange(4), torch.ones(4)
    d2l.evaluator_mf(Net(), d2l.load_array((ids, ids, stars), 2, is_train=False), [META])
    assert seen == [META] * (3 + 2 * 2)


def history_on(devices):
    """Train a small AutoRec without dropout and return its history."""
    random = torch.Generator().manual_seed(0)
    ratings = torch.randint(1, 6, (64, 40), generator=random).float()
    ratings[torch.rand(ratings.shape, generator=random) < 0.7] = 0
    torch.manual_seed(0)
    net = d2l.AutoRec(8, 40, dropout=0)
    history = d2l.train_recsys_rating(
        net,
        d2l.load_array((ratings,), 16),
        d2l.load_array((ratings,), 64, is_train=False),
        d2l.L2Loss(),
        torch.optim.Adam(net.parameters(), lr=0.01),
        num_epochs=5,
        devices=devices,
        inter_mat=ratings,
    )
    assert next(net.parameters()).device == devices[0]
    return history[["train_rmse", "test_rmse"]].to_numpy()


@needs_gpu
def test_a_gpu_trains_as_the_cpu_does():
    assert history_on([torch.device("cuda", 0)]) == pytest.approx(history_on([CPU]), abs=1e-3)


@needs_two_gpus
def test_two_gpus_train_as_one_does():
    gpus = [torch.device("cuda", 0), torch.device("cuda", 1)]
    assert history_on(gpus) == pytest.approx(history_on(gpus[:1]), abs=1e-3)


@needs_gpu
def test_no_batch_waits_for_the_gpu(monkeypatch):
    """After the first epoch, which checks the ratings, reading the sums is the only wait."""
    waits = []
    tolist = torch.Tensor.tolist

    def allowed(tensor):
        torch.cuda.set_sync_debug_mode("default")
        waits.append(tensor.shape)
        return tolist(tensor)

    def evaluator(*arguments):
        torch.cuda.set_sync_debug_mode("error")
        return 1.0

    monkeypatch.setattr(torch.Tensor, "tolist", allowed)
    gpu = torch.device("cuda", 0)
    ratings = torch.tensor([[5.0, 0, 3, 1]] * 6, device=gpu)
    net = d2l.AutoRec(3, 4).to(gpu)
    trainer = torch.optim.Adam(net.parameters())
    batches = [ratings[:3], ratings[3:]]
    try:
        d2l.train_recsys_rating(net, batches, batches, d2l.L2Loss(), trainer, 2, [gpu], evaluator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert waits == [(3,)] * 2
