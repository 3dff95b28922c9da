"""What a team brings along, for real: PostgreSQL, and an S3 server with a bucket."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import psycopg
import pytest
import requests

PATIENCE = 240  # seconds
S3_KEYS = {"aws_access_key_id": "tester", "aws_secret_access_key": "a secret of the tests"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.RequestException:
            pass
        said = log.read_text(errors="replace")[-3000:]
        assert process.poll() is None, f"the server ended:\n{said}"
        assert time.monotonic() < deadline, f"the server does not answer:\n{said}"
        time.sleep(0.2)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Start a real PostgreSQL; give its URL, without a database."""
    (binaries, *_) = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    owner = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    with tempfile.TemporaryDirectory(prefix="hardgate-pg-") as folder:
        data, port = Path(folder, "data"), free_port()
        if owner:
            shutil.chown(folder, owner)
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "tester", "--auth=trust", "--no-sync"],
            check=True,
            capture_output=True,
            user=owner,
            cwd=folder,
        )
        server = subprocess.Popen(
            [
                *(binaries / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1"),
                *("-k", folder, "-c", "fsync=off", "-c", "max_connections=200"),
            ],
            user=owner,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"postgresql://tester@127.0.0.1:{port}"
            wait_for_database(f"{url}/postgres")
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # its fast shutdown
            server.wait(timeout=60)


def wait_for_database(url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with psycopg.connect(url):
                return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start moto's S3 server with a bucket; give its URL. No package registry holds a real one."""
    port, home = free_port(), tmp_path_factory.mktemp("s3")
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/moto-api/", server, home / "log")
        client = boto3.client("s3", endpoint_url=url, **S3_KEYS, region_name="us-east-1")
        client.create_bucket(Bucket="models")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=30)
