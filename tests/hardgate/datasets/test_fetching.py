"""Raw files by path and by URL: the digest decides, and nothing half is left behind."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import ValidationError

from hardgate import progress
from hardgate.datasets import fetching
from hardgate.datasets.fetching import Source, fetch
from hardgate.errors import DataError, ParamsError, UnavailableError

CONTENT = bytes(range(256)) * 12_000  # three blocks
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Answers(BaseHTTPRequestHandler):
    """Serves one file whole at /whole, cut off at /cut, and nothing elsewhere."""

    def do_GET(self) -> None:
        if self.path not in ("/whole.csv", "/cut.csv"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.path == "/whole.csv" else CONTENT[: len(CONTENT) // 2])

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as answering:
        thread = threading.Thread(target=answering.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{answering.server_port}"
        answering.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def fetched(path: str, cache: Path, sha256: str | None = SHA256) -> Path:
    return fetch(Source(path=path, sha256=sha256), root=cache.parent, cache=cache)


def test_a_local_file_is_found_below_the_root(cache: Path) -> None:
    (cache.parent / "rows.csv").write_bytes(CONTENT)
    assert fetched("rows.csv", cache) == cache.parent / "rows.csv"
    assert not cache.exists()


def test_a_local_file_with_another_digest_is_refused(cache: Path) -> None:
    (cache.parent / "rows.csv").write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=rf"rows.csv has SHA-256 .*expected {SHA256}"):
        fetched("rows.csv", cache)


def test_a_missing_local_file_is_a_mistake_in_params(cache: Path) -> None:
    with pytest.raises(ParamsError, match=r"data/rows.csv is not there"):
        fetched("data/rows.csv", cache)


def test_a_folder_is_not_a_file(cache: Path) -> None:
    (cache.parent / "data").mkdir()
    with pytest.raises(ParamsError, match="data is a folder"):
        fetched("data", cache)


def test_a_url_is_fetched_once_and_then_read_from_the_cache(server: str, cache: Path) -> None:
    path = fetched(f"{server}/whole.csv", cache)
    assert path.read_bytes() == CONTENT
    assert [file.name for file in cache.iterdir()] == [path.name]
    inode = path.stat().st_ino
    assert fetched(f"{server}/whole.csv", cache).stat().st_ino == inode


def test_a_damaged_cached_file_is_fetched_again(server: str, cache: Path) -> None:
    path = fetched(f"{server}/whole.csv", cache)
    path.write_bytes(b"damaged")
    assert fetched(f"{server}/whole.csv", cache).read_bytes() == CONTENT


def test_a_file_url_is_copied_into_the_cache(cache: Path) -> None:
    original = cache.parent / "far.csv"
    original.write_bytes(CONTENT)
    path = fetched(original.as_uri(), cache)
    assert path.parent == cache
    assert path.read_bytes() == CONTENT


def test_a_url_with_another_digest_is_refused_and_leaves_nothing(server: str, cache: Path) -> None:
    with pytest.raises(DataError, match=f"has SHA-256 {SHA256}, expected 0000"):
        fetched(f"{server}/whole.csv", cache, sha256="0" * 64)
    assert list(cache.iterdir()) == []


def test_a_transfer_that_breaks_off_is_unavailable_and_leaves_nothing(
    server: str, cache: Path
) -> None:
    with pytest.raises(UnavailableError, match=r"broke off after 1536000 of 3072000 bytes"):
        fetched(f"{server}/cut.csv", cache)
    assert list(cache.iterdir()) == []


def test_a_url_that_is_not_there_is_unavailable(server: str, cache: Path) -> None:
    with pytest.raises(UnavailableError, match=r"absent.csv cannot be fetched: Not Found"):
        fetched(f"{server}/absent.csv", cache)
    assert list(cache.iterdir()) == []


def test_an_unreachable_url_is_unavailable(cache: Path) -> None:
    with socket.socket() as unused:  # bound but not listening: connections are refused
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/rows.csv"
        with pytest.raises(UnavailableError, match=r"cannot be fetched: .*refused"):
            fetched(url, cache)


@pytest.mark.parametrize(
    ("path", "sha256", "complaint"),
    [
        ("https://example.org/rows.csv", None, "is a URL, so its sha256 must be given"),
        ("ftp://example.org/rows.csv", SHA256, "cannot read ftp:// URLs"),
        ("https://me:word@example.org/rows.csv", SHA256, "user name or password"),
        ("rows.csv", "abc", "sha256"),
        ("", None, "path"),
    ],
)
def test_a_source_that_cannot_be_right_is_refused(
    path: str, sha256: str | None, complaint: str
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Source(path=path, sha256=sha256)


def test_a_cache_that_is_no_folder_is_unavailable(server: str, cache: Path) -> None:
    cache.write_text("in the way")
    with pytest.raises(UnavailableError, match=f"cannot write to {cache}: File exists"):
        fetched(f"{server}/whole.csv", cache)


# Linux ends a write beyond RLIMIT_FSIZE as it ends one on a full disk: part of it, then an error.
LIMITED = """
import resource, sys
from pathlib import Path
from hardgate.datasets.fetching import Source, fetch
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
cache = Path(sys.argv[3])
try:
    fetch(Source(path=sys.argv[1], sha256=sys.argv[2]), root=cache, cache=cache)
except Exception as error:
    sys.stdout.write(f"{type(error).__name__}: {error}")
"""


def test_a_full_disk_is_unavailable_names_the_folder_and_leaves_nothing(cache: Path) -> None:
    original = cache.parent / "far.csv"
    original.write_bytes(CONTENT)
    said = subprocess.run(
        [sys.executable, "-c", LIMITED, original.as_uri(), SHA256, str(cache)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert said == (
        f"UnavailableError: cannot write to {cache}: the disk or quota is full: "
        "free some space and run again"
    )
    assert list(cache.iterdir()) == []


def test_progress_counts_the_blocks(server: str, cache: Path) -> None:
    heard: list[object] = []

    class Hears(progress.Silent):
        def started(self, step: str, total: int | None) -> None:
            heard.append(total)

        def advanced(self, step: str) -> None:
            heard.append(step)

    with progress.listening(Hears()):
        fetched(f"{server}/whole.csv", cache)
    assert heard[0] == 3
    assert heard[1:] == [f"fetching {server}/whole.csv"] * 3


def test_a_recorded_file_is_found_again(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(CONTENT)
    record = fetching.record(tmp_path / "rows.csv", root=tmp_path)
    assert (record.path, record.sha256) == (Path("rows.csv"), SHA256)
    assert fetching.locate(record, root=tmp_path) == tmp_path / "rows.csv"


def test_a_recorded_file_that_is_gone_is_named(tmp_path: Path) -> None:
    record = fetching.FileRecord(path=Path("data/rows.csv"), sha256=SHA256)
    with pytest.raises(DataError, match=r"data/rows.csv is neither in the project nor"):
        fetching.locate(record, root=tmp_path)
