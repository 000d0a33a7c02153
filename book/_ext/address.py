"""The address of the repository: read from pyproject.toml, and nowhere else written by hand.

The buttons of the pages, the set-up cells, README.md and CITATION.cff follow from it.
"""

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ADDRESS = re.compile(r"https://[\w.-]+(?:/[\w.~-]+){2,}")
# At the front doors a line of its own follows a mark; `tools/execute_notebooks.py --form` writes it.
LINES = {"# address": "repository-code: {}", "<!-- address -->": "The repository is at <{}>."}


def urls(root: Path) -> dict[str, str]:
    """Return `[project.urls]` of pyproject.toml, with the labels in lower case."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {label.lower(): url for label, url in project.get("urls", {}).items()}


def repository(root: Path) -> str | None:
    """Return the address of the repository, or None where it has none.

    Raises ``ValueError`` for one that a browser cannot open, such as ``git@...``.
    """
    url = urls(root).get("repository")
    if url is None:
        return None
    if not ADDRESS.fullmatch(url.rstrip("/")):
        raise ValueError(
            f"pyproject.toml, [project.urls], Repository: {url!r} cannot be opened in a browser, "
            "write it as 'https://host/owner/name'"
        )
    return url.rstrip("/").removesuffix(".git")


def addressed(text: str, url: str | None) -> str:
    """Return README.md or CITATION.cff with the line that names the address, or without it."""
    for mark, line in LINES.items():
        start, new = line.partition("{")[0], f"{mark}\n{line.format(url)}\n" if url else f"{mark}\n"
        old = re.compile(rf"^{mark}\n(?:{start}.*\n)?", re.MULTILINE)
        text = old.sub(new, text)  # an address has no backslash
    return text
