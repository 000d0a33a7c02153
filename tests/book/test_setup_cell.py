"""The set-up cell of the chapters, run where the library is not installed."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
store = SimpleNamespace(**runpy.run_path(str(ROOT / ".ci" / "store")))

LINE = "%pip install .."  # what a reader is told to type

# A pip that only writes down what it was asked for, and succeeds or fails as told.
PIP = """\
import json, os, pathlib, sys
pathlib.Path(os.environ["PIP_LOG"]).write_text(json.dumps(sys.argv[1:]))
sys.exit(int(os.environ["PIP_STATUS"]))
"""


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a set-up cell in a bare interpreter; .asked: what pip got."""
    (tmp_path / "pip.py").write_text(PIP, encoding="utf-8")
    log = tmp_path / "asked.json"

    def run(source, status=0, **environment):
        done = subprocess.run(
            [sys.executable, "-S", "-c", source],  # no site-packages, hence no autorec_d2l
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(tmp_path),
                "PIP_LOG": str(log),
                "PIP_STATUS": str(status),
                **environment,
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        done.asked = json.loads(log.read_text(encoding="utf-8")) if log.exists() else None
        return done

    return run


def test_without_a_source_it_says_the_whole_line_to_type(run):
    done = run(store.setup_source(None))
    assert done.returncode == 1
    assert done.asked is None
    assert "ModuleNotFoundError: autorec_d2l is missing." in done.stderr
    assert LINE in done.stderr.splitlines()
    assert "Run it yourself" in done.stderr


@pytest.mark.parametrize("url", [None, "https://example.org/owner/name"])
def test_it_installs_from_the_named_source(run, url):
    done = run(store.setup_source(url), AUTOREC_D2L_SOURCE="a folder")
    assert done.returncode == 0, done.stderr
    assert done.asked == ["install", "-q", "a folder"]


def test_it_installs_from_the_repository(run):
    done = run(store.setup_source("https://example.org/owner/name"))
    assert done.returncode == 0, done.stderr
    assert done.asked == ["install", "-q", "git+https://example.org/owner/name"]


def test_a_failing_pip_fails_the_cell(run):
    done = run(store.setup_source(None), status=3, AUTOREC_D2L_SOURCE="a folder")
    assert done.returncode == 1
    assert "returned non-zero exit status 3" in done.stderr


def test_it_installs_nothing_where_the_library_is(run, tmp_path):
    (tmp_path / "autorec_d2l.py").touch()
    done = run(store.setup_source(None))
    assert done.returncode == 0, done.stderr
    assert done.asked is None


def test_the_real_pip_makes_the_library_importable_at_once(tmp_path):
    """By the line to type: no restart, no network, with the setuptools that is here."""
    project, site = tmp_path / "project", tmp_path / "site"
    (project / "book").mkdir(parents=True)
    site.mkdir()
    shutil.copytree(ROOT / "autorec_d2l", project / "autorec_d2l")  # pip builds beside the source
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(site),
        "PIP_TARGET": str(site),
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this as: no isolation
    }
    typed = [sys.executable, "-m", *LINE.removeprefix("%").split()]
    find = '\nprint(importlib.util.find_spec("autorec_d2l").origin)'
    setup = [sys.executable, "-S", "-c", store.setup_source(None) + find]
    for command in (typed, setup):
        done = subprocess.run(
            command, env=environment, cwd=project / "book", capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(site / "autorec_d2l" / "__init__.py")
