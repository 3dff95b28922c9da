"""A Prefect API of our own, for machines that have none running.

Prefect can start one by itself, but only once the flow does, and it takes fifteen seconds. This
one starts as a child process first, while the parent imports what the flow needs. It ends with
its parent, however that ends: its standard input is a pipe that then closes.

The module imports nothing heavy, and nothing of Prefect: the environment must be set before.
"""

from __future__ import annotations

import logging
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hardgate import state, telemetry
from hardgate.errors import UnavailableError

ERROR = re.compile(r"[\w.]+(Error|Exception)\b")
STARTUP = 180.0  # seconds; a cold start on a busy machine takes one minute


@contextmanager
def running() -> Iterator[_Api]:
    """Use the API that ``PREFECT_API_URL`` names, or run one for the length of the block."""
    telemetry.silence()
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("PREFECT_HOME", str(state.room("prefect").resolve()))
    for runs in ("prefect.flow_runs", "prefect.task_runs"):
        # What went wrong is said once, by the command; the API keeps the traceback.
        logging.getLogger(runs).propagate = False
    if os.environ.get("PREFECT_API_URL"):
        yield _Api(os.environ["PREFECT_API_URL"], None, None)
        return
    port = _free_port()
    log = state.room("prefect") / "api.log"
    with log.open("wb") as output:
        child = subprocess.Popen(  # noqa: S603  fixed words only
            [sys.executable, "-m", "flows._api", str(port)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the flow, which still has to report
        )
    url = f"http://127.0.0.1:{port}/api"
    os.environ["PREFECT_API_URL"] = url
    try:
        yield _Api(url, child, log)
    finally:
        del os.environ["PREFECT_API_URL"]
        for handler in logging.getLogger("prefect.flow_runs").handlers:
            handler.flush()  # while there is an API to take the last lines
        if child.stdin is not None:
            child.stdin.close()
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class _Api:
    """An API that is starting, or somebody else's."""

    def __init__(self, url: str, child: subprocess.Popen[bytes] | None, log: Path | None) -> None:
        self._url = url
        self._child = child
        self._log = log

    def wait(self) -> None:
        """Wait until it answers; somebody else's must answer within seconds.

        Raises
        ------
        UnavailableError
            If it does not.
        """
        deadline = time.monotonic() + (STARTUP if self._child else 10)
        while time.monotonic() < deadline:
            if self._child is not None and self._child.poll() is not None:
                break
            if _answers(self._url):
                return
            time.sleep(0.1)
        if self._child is None:
            raise UnavailableError(
                f"the Prefect server at {self._url} does not answer; start it, or unset "
                "PREFECT_API_URL to run without one"
            )
        raise UnavailableError(
            f"Prefect's API did not start{_last_words(self._log)}; {self._log} says more"
        )


def _last_words(log: Path | None) -> str:
    """Find what a process died of: the last line of its log that names an error."""
    if log is None or not log.is_file():
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line.strip() for line in lines if ERROR.match(line)]
    return f": {errors[-1]}" if errors else ""


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as response:  # noqa: S310
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = [
        *("prefect", "server", "start", "--no-services", "--no-ui"),
        *("--host", "127.0.0.1", "--port", sys.argv[1]),
    ]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)
