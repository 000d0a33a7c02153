"""A release: one version and one set of metadata everywhere."""

import re
from importlib import import_module
from pathlib import Path

import tomllib
import yaml

import autorec_d2l

ROOT = Path(__file__).resolve().parents[2]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_version_is_the_same_everywhere():
    version = autorec_d2l.__version__
    assert CITATION["version"] == version
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    date = re.search(rf"^## \[{re.escape(version)}\] - (\S+)$", changes, re.MULTILINE)[1]
    assert str(CITATION["date-released"]) == date


def test_the_project_is_the_one_that_is_cited():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["authors"] == CITATION["authors"]
    assert project["keywords"] == CITATION["keywords"]
    module, _, name = project["scripts"]["autorec-d2l"].partition(":")
    assert callable(getattr(import_module(module), name))
