"""The program of the chapter on cost, in two processes: data parallel and tensor parallel."""

import json
import time
from pathlib import Path

import nbformat
import pytest

CHAPTER = Path(__file__).parents[2] / "book" / "scale.ipynb"
MAGIC = "%%writefile "


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Write the program as the chapter's cells write it."""
    cells = nbformat.read(CHAPTER, as_version=4).cells
    texts = [cell.source.split("\n", 1)[1] for cell in cells if cell.source.startswith(MAGIC)]
    path = tmp_path_factory.mktemp("program") / "beyond.py"
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


def test_every_way_to_share_gives_the_losses_of_one_process(launch, program, tmp_path):
    losses = {}
    for size in (1, 2):
        done = launch(size, program, tmp_path / f"{size}.json")
        assert done.returncode == 0, done.stderr
        losses[size] = json.loads((tmp_path / f"{size}.json").read_text(encoding="utf-8"))
    reference = losses[1]["items"]
    assert len(reference) == 20
    assert reference[-1] < reference[0] / 2
    for size in (1, 2):
        assert list(losses[size]) == ["items", "users", "tensors"]
        for way in losses[size].values():
            assert way == pytest.approx(reference, rel=1e-5)


def test_if_one_process_dies_the_others_end_too(launch, program, tmp_path):
    broken = program.with_name("broken.py")
    broken.write_text(
        "import os, beyond, autorec_d2l as d2l\n"
        "from torch import distributed as dist\n"
        "with d2l.process_group():\n"
        "    rank = dist.get_rank()\n"
        "    net, loss_of = beyond.share_users(rank, 2)\n"
        "    if rank == 1:\n"
        "        os._exit(3)\n"
        "    loss_of(beyond.torch.arange(5))\n",
        encoding="utf-8",
    )
    start = time.monotonic()
    done = launch(2, broken)
    assert done.returncode != 0
    assert "exitcode  : 3" in done.stderr
    assert time.monotonic() - start < 120  # far below the five minutes of the group
