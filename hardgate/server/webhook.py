"""The receiver of MLflow's webhooks: a nudge for the release watcher, and nothing more.

A delivery is believed when its signature (HMAC-SHA256 over id, time and body), its age and its id
are right; then the watcher's deployment is asked to run now. A delivery that is lost costs
nothing but time: the watcher also runs on a schedule.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import requests

from hardgate.server import settings

OLDEST: Final = 300.0  # seconds
PATIENCE: Final = 10.0  # seconds without a byte
LARGEST: Final = 2**20  # bytes of a body
WATCHER: Final = "release/watch"  # flow and deployment


class Deliveries:
    """Tells a new, true delivery from a forged, old or repeated one."""

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret.encode()
        self._clock = clock
        self._seen: OrderedDict[str, float] = OrderedDict()  # ids, and when they came
        self._lock = threading.Lock()  # deliveries come in threads

    def __len__(self) -> int:
        """Count the ids that are remembered."""
        return len(self._seen)

    def refusal(self, headers: dict[str, str], body: bytes) -> str | None:
        """Say why a delivery is not believed; None when it is."""
        given = {name.lower(): value for name, value in headers.items()}
        identity = given.get("x-mlflow-delivery-id", "")
        stamp = given.get("x-mlflow-timestamp", "")
        signature = given.get("x-mlflow-signature", "")
        if not (identity and stamp and signature):
            return "a header is missing: signature, timestamp or delivery id"
        signed = f"{identity}.{stamp}.".encode() + body
        digest = hmac.new(self._secret, signed, hashlib.sha256).digest()
        expected = "v1," + base64.b64encode(digest).decode()
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            return "the signature does not match"
        now = self._clock()
        if not (stamp.isascii() and stamp.isdigit()) or abs(now - int(stamp)) > OLDEST:
            return "it is too old, or a clock is wrong"
        with self._lock:
            if identity in self._seen:
                return "it was delivered before"
            self._seen[identity] = now
            while now - next(iter(self._seen.values())) > 2 * OLDEST:  # too old to come again
                self._seen.popitem(last=False)
        return None


def nudge(api: str, password: str) -> None:
    """Ask Prefect to run the watcher now."""
    flow, _, deployment = WATCHER.partition("/")
    user, _, word = password.partition(":")
    with requests.Session() as session:
        session.auth = (user, word)
        found = session.get(f"{api}/deployments/name/{flow}/{deployment}", timeout=10)
        found.raise_for_status()
        identity = found.json()["id"]
        asked = session.post(f"{api}/deployments/{identity}/create_flow_run", json={}, timeout=10)
        asked.raise_for_status()


def handler(deliveries: Deliveries, act: Callable[[], None]) -> type[BaseHTTPRequestHandler]:
    """Make the class that answers requests."""

    class Receiver(BaseHTTPRequestHandler):
        timeout = PATIENCE

        def do_GET(self) -> None:
            self._answer(200 if self.path == "/health" else 404, "")

        def do_POST(self) -> None:
            try:
                length = int(self.headers.get("Content-Length") or 0)
            except ValueError:
                self._answer(411, "no length")
                return
            if not 0 <= length <= LARGEST:
                self._answer(413, "too large")
                return
            body = self.rfile.read(length)
            refusal = deliveries.refusal(dict(self.headers.items()), body)
            if refusal is not None:
                self._answer(401, refusal)
                return
            try:
                event = json.loads(body)
            except ValueError:
                event = None
            if not isinstance(event, dict):
                self._answer(400, "the body is no JSON object")
                return
            try:
                if event.get("entity") == "model_version_alias":
                    act()
            except requests.RequestException as error:
                sys.stderr.write(f"the watcher was not asked to run: {error}\n")
            self._answer(200, "")

        def _answer(self, status: int, words: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(words.encode())

    return Receiver


def main() -> None:
    """Listen on the host and port given, until ended."""
    host, port = sys.argv[1:]
    deliveries = Deliveries(settings.secret().webhook_secret)
    prefect = os.environ["PREFECT_API_URL"], os.environ["PREFECT_API_AUTH_STRING"]
    act = functools.partial(nudge, *prefect)
    ThreadingHTTPServer((host, int(port)), handler(deliveries, act)).serve_forever()


if __name__ == "__main__":
    main()
