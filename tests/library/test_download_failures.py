"""Hard knocks: servers, disks, kills, locales and clocks that a download may meet.

KNOCKS=all pytest tests/test_faults.py      twenty kills instead of four
"""

import os
import shutil
import subprocess
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from test_download import (  # noqa: F401  (home and web are fixtures)
    ARCHIVE,
    HTML,
    PACKAGE,
    UDATA,
    WHEEL,
    WHOLE,
    ZIP,
    archive,
    fetch_command,
    halves,
    home,
    names,
    sha256,
    start_fetch,
    web,
)

from autorec_d2l import download, sources
from autorec_d2l.data.download import fetch

KILLS = 20 if os.environ.get("KNOCKS") == "all" else 4


# Servers


def test_a_redirection_is_followed(web, home):  # noqa: F811
    web.pages |= {"/grouplens": (302, 0, [], "/elsewhere"), "/elsewhere": WHOLE}
    assert (fetch("ml-100k") / "u.data").read_text(encoding="utf-8") == UDATA
    assert web.asked == ["/grouplens", "/elsewhere"]


def blocks(count, seconds=0):
    for _ in range(count):
        time.sleep(seconds)
        yield bytes(1024)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (lambda: (302, 0, [], "/grouplens"), "Exceeded 30 redirects"),
        (lambda: (302, 0, [], "/page"), "does not match the known hash"),
        (lambda: (500, 0, []), "500 Server Error"),
        (lambda: (200, "many", [ARCHIVE]), "invalid literal"),
        (lambda: (200, 2 * len(ARCHIVE), [ARCHIVE]), "IncompleteRead"),
        (lambda: (200, len(ARCHIVE) - 1, [ARCHIVE]), "does not match the known hash"),
        (lambda: (200, len(ARCHIVE), [ARCHIVE[::-1]]), "does not match the known hash"),
        (lambda: (200, 2**20, blocks(100, 0.1)), "too slow: "),
        (lambda: (200, 2**40, blocks(10_000)), "no archive of MovieLens has more than"),
    ],
    ids=["loop", "page", "500", "no length", "long", "short", "content", "slow", "endless"],
)
def test_a_faulty_server_is_passed_over(web, home, monkeypatch, caplog, page, reason):  # noqa: F811
    caplog.set_level("INFO", logger="autorec_d2l")
    monkeypatch.setattr(sources, "SECONDS", 1)
    monkeypatch.setattr(sources, "BYTES", 2**20)
    web.pages |= {"/grouplens": page(), "/page": HTML, "/mirror": WHOLE}
    assert (fetch("ml-100k") / "u.data").read_text(encoding="utf-8") == UDATA
    assert reason in caplog.text
    assert names(home) == [ZIP]


# Kills


def test_of_killed_downloads_the_next_one_leaves_nothing(web, home):  # noqa: F811
    killed = threading.Event()
    all_halfway = threading.Barrier(KILLS + 1, timeout=120)

    def pause():
        all_halfway.wait()
        killed.wait(60)

    for i in range(KILLS):
        web.pages[f"/{i}"] = (200, len(ARCHIVE), halves(pause))
    processes = [start_fetch(f"{web.address}/{i}") for i in range(KILLS)]
    all_halfway.wait()
    for process in processes:
        process.kill()
        process.wait()
    killed.set()
    assert len(names(home)) == KILLS
    assert ZIP not in names(home)
    (home / f".{WHEEL}-killed").mkdir()  # as after a kill of pip
    (home / f".{WHEEL}-killed" / WHEEL).write_bytes(PACKAGE[:100])
    web.pages["/grouplens"] = WHOLE
    assert (fetch("ml-100k") / "u.data").read_text(encoding="utf-8") == UDATA
    assert names(home) == [ZIP]


def test_what_was_left_goes_when_an_archive_is_found(web, home):  # noqa: F811
    (home / f".{ZIP}-killed").mkdir(parents=True)
    (home / ".else").mkdir()
    (home / ZIP).write_bytes(ARCHIVE)
    fetch("ml-100k")
    assert names(home) == [".else", ZIP]


# Disks


def in_a_small_disk(folder, prepare, command):
    """Run a command that sees its own disk of 64 kB in a folder, or skip where that cannot be."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("needs a mount namespace for an ordinary user")
    folder.mkdir(parents=True)
    script = f'mount -t tmpfs -o size=64k tmpfs "$0" && {prepare} && exec "$@"'
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, folder, *command], capture_output=True, text=True
    )


needs_unshare = pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare of Linux")


@needs_unshare
def test_a_full_disk_is_said_to_be_full(web, home):  # noqa: F811
    raw = os.urandom(2**17)
    web.pages["/big"] = (200, len(raw), [raw])
    done = in_a_small_disk(home, "true", fetch_command(f"{web.address}/big", raw))
    assert done.returncode == 1
    assert "GroupLens: [Errno 28] No space left on device" in done.stderr
    assert done.stderr.rstrip().endswith("Found there: nothing.")


@needs_unshare
def test_a_full_disk_is_said_to_be_full_by_pip_too(web, home):  # noqa: F811
    (web.shelf / WHEEL).write_bytes(PACKAGE)
    prepare = 'head -c 65536 /dev/zero > "$0/full"'
    done = in_a_small_disk(home, prepare, fetch_command("", PACKAGE))
    assert done.returncode == 1
    assert "No space left on device" in done.stderr, done.stderr
    assert "wrong SHA-256" not in done.stderr


def test_of_a_part_that_pip_left_the_cause_is_told(web, home, monkeypatch):  # noqa: F811
    def run(command, **options):
        [folder] = [part.removeprefix("--dest=") for part in command if "--dest=" in part]
        with open(os.path.join(folder, WHEEL), "wb") as file:
            file.write(PACKAGE[:100])
        return SimpleNamespace(returncode=1, stdout="", stderr="No space left on device")

    monkeypatch.setattr(sources.subprocess, "run", run)
    with pytest.raises(download.DataUnavailableError, match="failed: No space left on device"):
        fetch("ml-100k")
    assert names(home) == []


@needs_unshare
@pytest.mark.parametrize("has_archive", [True, False])
def test_a_cache_that_can_only_be_read(web, home, tmp_path, has_archive):  # noqa: F811
    (tmp_path / ZIP).write_bytes(ARCHIVE)
    copy = f'cp "{tmp_path / ZIP}" "$0"' if has_archive else "true"
    prepare = f'{copy} && mount -o remount,ro "$0"'
    done = in_a_small_disk(home, prepare, fetch_command(f"{web.address}/grouplens"))
    if has_archive:
        assert done.returncode == 0, done.stderr
    else:
        assert (
            f"PermissionError: The data folder {home} cannot be written (Read-only" in done.stderr
        )
    assert web.asked == []


# Places and clocks


@pytest.mark.parametrize("url", ["/grouplens", ""], ids=["web", "pip"])
@pytest.mark.parametrize("serves", [True, False])
def test_a_locale_without_utf8_and_a_home_of_many_letters(web, tmp_path, url, serves):  # noqa: F811
    home = tmp_path / "Zoë's  data 数据"  # noqa: F811
    if serves:
        web.pages["/grouplens"] = WHOLE
        (web.shelf / WHEEL).write_bytes(PACKAGE)
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        fetch_command(url and web.address + url, ARCHIVE if url else PACKAGE),
        env={**os.environ, **plain, "AUTOREC_D2L_DATA": str(home)},
        capture_output=True,
    )
    if serves:
        assert done.returncode == 0, done.stderr
        assert names(home) == [ZIP if url else WHEEL]
    else:
        assert b"DataUnavailableError: ml-100k could not be had from any source" in done.stderr
        assert b"codec" not in done.stderr
        assert names(home) == []


@pytest.mark.parametrize("years", [-40, 60])
def test_a_clock_that_is_years_off(web, home, monkeypatch, years):  # noqa: F811
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + years * 365 * 86400)
    web.pages["/grouplens"] = WHOLE
    fetch("ml-100k")
    os.utime(home / ZIP, (time.time(), time.time()))
    assert (fetch("ml-100k") / "u.data").read_text(encoding="utf-8") == UDATA
    assert web.asked == ["/grouplens"]


def test_nothing_of_an_archive_leads_out_of_it(web, home, tmp_path, monkeypatch):  # noqa: F811
    raw = archive(
        {"../evil": "x", "/evil": "x", "ml-100k/../../evil": "x", "ml-100k/u.data": UDATA}
    )
    source = replace(download.SOURCES["ml-100k"][0], sha256=sha256(raw))
    monkeypatch.setitem(download.SOURCES, "ml-100k", [source])
    web.pages["/grouplens"] = (200, len(raw), [raw])
    assert (fetch("ml-100k") / "u.data").read_text(encoding="utf-8") == UDATA
    assert names(home) == [ZIP]
    assert list(tmp_path.rglob("evil")) == []


def test_a_home_of_nobody_is_refused_in_our_words(monkeypatch):
    monkeypatch.setenv("AUTOREC_D2L_DATA", "~nobody-of-this-name/films")
    with pytest.raises(ValueError, match="AUTOREC_D2L_DATA must be an absolute path"):
        download.data_home()
