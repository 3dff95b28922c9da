"""A bucket is believed to keep what it was given after it was tried, and not before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest

from hardgate.errors import UnavailableError
from hardgate.server import settings, stores
from tests.hardgate.conftest import S3_KEYS

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in S3_KEYS.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


class Careless(BaseHTTPRequestHandler):
    """An S3 server that overwrites whatever it is told, as some of them do."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        if self.headers.get("Expect") == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._well()

    def do_DELETE(self) -> None:
        self._well()

    def _well(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def careless() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Careless) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_bucket_that_keeps_what_it_was_given_is_taken(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", s3)
    stores.prepare(settings.Settings(artifacts_url="s3://models/tried"))


def test_a_bucket_that_overwrites_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with careless() as url:
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", url)
        with pytest.raises(UnavailableError, match="does not keep what it was given: 8 of several"):
            stores.prepare(settings.Settings(artifacts_url="s3://models/tried"))


def test_a_missing_bucket_is_named(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", s3)
    with pytest.raises(UnavailableError, match=r"s3://nowhere/x cannot be used: .*NoSuchBucket"):
        stores.prepare(settings.Settings(artifacts_url="s3://nowhere/x"))


def test_schemas_are_made_once(postgresql: str) -> None:
    known = settings.Settings(database_url=f"{postgresql}/postgres")
    for _ in range(2):
        stores.prepare(known)
    with psycopg.connect(f"{postgresql}/postgres") as connection:
        found = connection.execute("SELECT schema_name FROM information_schema.schemata").fetchall()
    assert {(settings.USERS,), (settings.FLOWS,)} <= set(found)
