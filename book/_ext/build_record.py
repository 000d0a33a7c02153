"""Record what a build was made of, so that a test of the pages need not build them again.

The record lies beside the pages' cache. It says whether the pages were built into an empty folder
(after that Sphinx repeats neither the warnings of a page that is as before, nor deletes old pages),
how many warnings there were, and a digest of all sources.
"""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

SOURCES = ("_config.yml", "_toc.yml", "pyproject.toml", "book", "autorec_d2l")
TOOLS = ("jupyter-book", "myst-nb", "sphinx", "sphinx-book-theme", "sphinx-exercise")
FILE = "record.json"


def digest(root: Path) -> str:
    """Return a digest of everything from which the pages are made, with the tools' versions."""
    found = hashlib.sha256(" ".join(map(version, TOOLS)).encode())
    for source in SOURCES:
        start = root / source
        files = [start] if start.is_file() else sorted(start.rglob("*"))
        for path in files:
            name = path.relative_to(root)
            if path.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & set(name.parts):
                found.update(f"\n{name.as_posix()} {path.stat().st_size}\n".encode())
                found.update(path.read_bytes())
    return found.hexdigest()


def recorded(root: Path) -> Path | None:
    """Return the folder of README's build, if its pages are complete, without warnings, and new."""
    pages, record = root / "_build" / "html", root / "_build" / ".doctrees" / FILE
    if not record.exists() or not pages.exists():
        return None
    wanted = {"is_fresh": True, "warnings": 0, "sources": digest(root)}
    return pages if json.loads(record.read_text(encoding="utf-8")) == wanted else None


def begin(app):
    """Note the state of the sources before they are read, and remove an older record."""
    is_fresh = not any(Path(app.outdir).rglob("*.html"))
    app.record = {"is_fresh": is_fresh, "sources": digest(Path(app.srcdir))}
    (Path(app.doctreedir) / FILE).unlink(missing_ok=True)


def finish(app, exception):
    """Write the record of a whole build."""
    if exception is None and app.builder.format == "html":
        text = json.dumps(app.record | {"warnings": app._warncount})
        (Path(app.doctreedir) / FILE).write_text(text, encoding="utf-8")


def setup(app):
    """Register the event handlers."""
    app.connect("builder-inited", begin)
    app.connect("build-finished", finish, priority=1000)  # the last: others may warn
    return {"parallel_read_safe": True, "parallel_write_safe": True}
