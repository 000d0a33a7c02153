"""A release: one version, and a README that a package index can show."""

import re
import runpy
from importlib import import_module
from pathlib import Path

import pytest
import yaml

import autorec_d2l

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "https://example.org/owner/name"
RELATIVE = r"\]\((?!https?:|#)|src=\"(?!https?:)"
whole = runpy.run_path(str(ROOT / "setup.py"))["whole"]


def test_the_version_is_the_same_everywhere():
    version = autorec_d2l.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == version
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    date = re.search(rf"^## \[{re.escape(version)}\] - (\S+)$", changes, re.MULTILINE)[1]
    assert str(citation["date-released"]) == date


def test_the_project_is_the_one_that_is_cited():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["authors"] == citation["authors"]
    assert project["keywords"] == citation["keywords"]
    module, _, name = project["scripts"]["autorec-d2l"].partition(":")
    assert callable(getattr(import_module(module), name))


def test_the_readme_of_an_index_leads_to_the_repository():
    assert re.search(RELATIVE, README)
    text = whole(README, f"{ADDRESS}.git")
    assert not re.search(RELATIVE, text)
    assert f'<img src="{ADDRESS}/raw/HEAD/book/_static/autorec.svg"' in text
    assert f"[CONTRIBUTING.md]({ADDRESS}/blob/HEAD/CONTRIBUTING.md)" in text


def test_without_a_repository_it_shows_words():
    text = whole(README)
    assert "<img" not in text
    assert re.search(r"^\*Item-based AutoRec: .*\*$", text, re.MULTILINE)  # what it showed
    assert "](https://jupyterbook.org)" in text
    assert not re.search(RELATIVE, text)
