"""Small work computes on one thread; what the caller has set stays."""

import os
import subprocess
import sys

import pytest
import torch

from autorec_d2l import devices

SMALL, LARGE = 100_000, 1_000_209


@pytest.fixture
def three_threads(monkeypatch):
    """Make three threads what torch has chosen by itself."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    monkeypatch.setattr(devices, "THREADS", 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("num_ratings", "expected"), [(SMALL, 1), (LARGE, 3)])
def test_small_work_takes_one_thread_and_gives_the_others_back(
    three_threads, num_ratings, expected
):
    with devices.threads_for(num_ratings):
        assert torch.get_num_threads() == expected
        with devices.threads_for(num_ratings):
            assert torch.get_num_threads() == expected
        assert torch.get_num_threads() == expected
    assert torch.get_num_threads() == 3
    with pytest.raises(ZeroDivisionError), devices.threads_for(num_ratings):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("num_ratings", [SMALL, LARGE])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_number_set_in_the_program_stays(three_threads, threads, num_ratings):
    torch.set_num_threads(threads)
    with devices.threads_for(num_ratings):
        assert torch.get_num_threads() == threads


@pytest.mark.parametrize("threads", [1, 2])
def test_a_number_set_in_the_environment_stays(threads):
    program = (
        "import torch; from autorec_d2l.training.distributed import threads_for\n"
        "with threads_for(100_000): print(torch.get_num_threads())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [str(threads)]
