"""The address of the repository: one place, from which the rest follows."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from address import LINES, addressed, repository, urls  # noqa: E402

store = SimpleNamespace(**runpy.run_path(str(ROOT / ".ci" / "store")))
URL = "https://github.com/owner/name"


@pytest.fixture
def project(tmp_path):
    """Return a function that writes a pyproject.toml and gives its folder."""

    def project(text):
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        return tmp_path

    return project


@pytest.mark.parametrize(
    "text",
    [
        f'[project.urls]\nRepository = "{URL}"',
        f"[project.urls]\nRepository = '{URL}'",
        f'[project.urls]\n"repository" = "{URL}.git" # ours\n[tool]',
        f'[project]\nurls = {{Homepage = "h", Repository = "{URL}/"}}',
        f'[project]\nurls.Repository = """\n{URL}"""',
    ],
)
def test_every_way_to_write_it(project, text):
    assert repository(project(text)) == URL


@pytest.mark.parametrize(
    "text", ["[project]", '[project]\n# [project.urls]\n[tool.x]\nRepository = "no"']
)
def test_none(project, text):
    assert repository(project(text)) is None


@pytest.mark.parametrize(
    "url", ["", "git@github.com:owner/name.git", "github.com/owner/name", "https://github.com/name"]
)
def test_an_address_that_no_browser_opens_is_an_error(project, url):
    folder = project(f"[project.urls]\nRepository = '{url}'")
    with pytest.raises(ValueError, match=r"pyproject\.toml.*Repository.*write it as 'https://"):
        repository(folder)


def test_the_front_doors_follow():
    url = repository(ROOT)
    for name, mark in zip(store.FRONT_DOORS, reversed(LINES), strict=True):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert text.count(f"{mark}\n") == 1
        assert addressed(text, url) == text, "run `tools/execute_notebooks.py --form`"
        there = addressed(text, URL)
        assert there.count(URL) == text.count(URL) + 1
        assert addressed(there, URL) == there
        assert addressed(there, None) == addressed(text, None)


def test_a_new_address_changes_no_output(project, tmp_path):
    """In a small copy of the project: the real command, then its check."""
    for name in (
        "book/_ext/address.py",
        "tools/execute_notebooks.py",
        "README.md",
        "CITATION.cff",
        "book/mf.ipynb",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    project(f"[project.urls]\nRepository = '{URL}'")

    def run(option):
        command = [sys.executable, tmp_path / ".ci" / "store", option]
        return subprocess.run(command, capture_output=True, text=True)

    assert run("--check").returncode == 1
    assert run("--form").returncode == 0
    assert (run("--check").returncode, run("--form").stdout) == (0, "")
    for name in ("README.md", "CITATION.cff"):
        assert URL in (tmp_path / name).read_text(encoding="utf-8")
    old, new = (
        json.loads((folder / "book/mf.ipynb").read_text(encoding="utf-8"))["cells"]
        for folder in (ROOT, tmp_path)
    )
    different = [b for a, b in zip(old, new, strict=True) if a != b]
    assert [f"git+{URL}" in "".join(cell["source"]) for cell in different] == [True]
    assert {**different[0], "source": ""} in [{**cell, "source": ""} for cell in old]


def test_the_other_addresses_are_read_too(project):
    folder = project("[project.urls]\nDocumentation = 'https://owner.example.org/name/'")
    assert urls(folder) == {"documentation": "https://owner.example.org/name/"}
