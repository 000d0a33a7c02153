"""The program of the chapter on scale in two processes: data parallel and tensor parallel."""

import json
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


def test_each_way_to_distribute_the_work_gives_the_losses_of_one_process(launch, program, tmp_path):
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
