"""The receiver of webhooks believes a delivery that is true, new and not yet seen."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
import requests

from hardgate.server import webhook
from hardgate.server.webhook import LARGEST, OLDEST, Deliveries, handler

SECRET = "a secret of the tests"
ALIAS = json.dumps({"entity": "model_version_alias", "action": "created"}).encode()


def signed(
    body: bytes = ALIAS, *, identity: str = "1", stamp: str = "", secret: str = SECRET
) -> dict[str, str]:
    """Headers as MLflow sends them."""
    stamp = stamp or str(int(time.time()))
    digest = hmac.new(secret.encode(), f"{identity}.{stamp}.".encode() + body, hashlib.sha256)
    return {
        "X-MLflow-Signature": "v1," + base64.b64encode(digest.digest()).decode(),
        "X-MLflow-Timestamp": stamp,
        "X-MLflow-Delivery-Id": identity,
    }


@pytest.fixture
def deliveries() -> Deliveries:
    return Deliveries(SECRET)


def test_a_good_delivery_is_believed(deliveries: Deliveries) -> None:
    assert deliveries.refusal(signed(), ALIAS) is None


def test_mlflow_signs_as_we_verify(deliveries: Deliveries) -> None:
    from mlflow.webhooks import delivery

    stamp = str(int(time.time()))
    signature = delivery._generate_hmac_signature(SECRET, "7", stamp, ALIAS.decode())
    headers = signed(identity="7", stamp=stamp) | {"X-MLflow-Signature": signature}
    assert deliveries.refusal(headers, ALIAS) is None


def test_the_names_of_headers_have_no_case(deliveries: Deliveries) -> None:
    headers = {name.upper(): value for name, value in signed().items()}
    assert deliveries.refusal(headers, ALIAS) is None


@pytest.mark.parametrize(
    "headers",
    [
        signed(secret="another secret"),
        signed(body=b"{}"),
        signed() | {"X-MLflow-Delivery-Id": "2"},
        signed() | {"X-MLflow-Timestamp": str(int(time.time()) + 1)},
        signed() | {"X-MLflow-Signature": "v1,"},
        signed() | {"X-MLflow-Signature": "v1,\u00e9"},
        signed() | {"X-MLflow-Signature": signed()["X-MLflow-Signature"].removeprefix("v1,")},
    ],
    ids=["secret", "body", "id", "time", "none", "letters", "version"],
)
def test_a_forged_delivery_is_refused(deliveries: Deliveries, headers: dict[str, str]) -> None:
    assert deliveries.refusal(headers, ALIAS) == "the signature does not match"


@pytest.mark.parametrize("name", sorted(signed()))
def test_a_missing_header_is_refused(deliveries: Deliveries, name: str) -> None:
    headers = {key: value for key, value in signed().items() if key != name}
    assert "a header is missing" in (deliveries.refusal(headers, ALIAS) or "")


@pytest.mark.parametrize("age", [OLDEST + 2, -OLDEST - 2])
def test_a_stale_delivery_is_refused(deliveries: Deliveries, age: float) -> None:
    headers = signed(stamp=str(int(time.time() - age)))
    assert "too old" in (deliveries.refusal(headers, ALIAS) or "")


@pytest.mark.parametrize("stamp", ["soon", "-1", "1e9", "\u00b2", " 1"])
def test_a_time_that_is_none_is_refused(deliveries: Deliveries, stamp: str) -> None:
    assert "too old" in (deliveries.refusal(signed(stamp=stamp), ALIAS) or "")


def test_a_repeated_delivery_is_refused(deliveries: Deliveries) -> None:
    headers = signed()
    assert deliveries.refusal(headers, ALIAS) is None
    assert deliveries.refusal(headers, ALIAS) == "it was delivered before"


def test_a_forged_delivery_does_not_use_up_the_id(deliveries: Deliveries) -> None:
    assert deliveries.refusal(signed(secret="another"), ALIAS) is not None
    assert deliveries.refusal(signed(), ALIAS) is None


def test_of_many_at_once_one_is_believed(deliveries: Deliveries) -> None:
    headers = signed()
    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(lambda _: deliveries.refusal(headers, ALIAS), range(64)))
    assert said.count(None) == 1


def test_what_is_forgotten_is_too_old_by_then() -> None:
    """Ids are kept for as long as their deliveries are young, however many come."""
    now = 1_000_000.0
    deliveries = Deliveries(SECRET, clock=lambda: now)
    first = signed(identity="first", stamp="1000000")
    assert deliveries.refusal(first, ALIAS) is None
    for number in range(12_000):
        headers = signed(identity=str(number), stamp="1000000")
        assert deliveries.refusal(headers, ALIAS) is None
    assert deliveries.refusal(first, ALIAS) == "it was delivered before"
    now += 2 * OLDEST + 1
    late = signed(identity="late", stamp=str(int(now)))
    assert deliveries.refusal(late, ALIAS) is None
    assert len(deliveries) == 1


# -- over HTTP ------------------------------------------------------------------------------------


@dataclass
class Receiver:
    url: str
    port: int
    acted: list[float] = field(default_factory=list)
    fail: bool = False

    def post(self, body: bytes = ALIAS, **changes: str) -> requests.Response:
        return requests.post(self.url, data=body, headers=signed(body, **changes), timeout=30)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    def act() -> None:
        if made.fail:
            raise requests.ConnectionError("nobody there")
        made.acted.append(time.time())

    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(Deliveries(SECRET), act))
    made = Receiver(f"http://127.0.0.1:{server.server_port}/", server.server_port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_new_alias_asks_the_watcher_to_run(receiver: Receiver) -> None:
    assert receiver.post().status_code == 200
    assert len(receiver.acted) == 1


def test_a_repeated_delivery_does_nothing(receiver: Receiver) -> None:
    assert receiver.post(identity="7").status_code == 200
    answer = receiver.post(identity="7")
    assert (answer.status_code, answer.text) == (401, "it was delivered before")
    assert len(receiver.acted) == 1


def test_a_forged_delivery_does_nothing(receiver: Receiver) -> None:
    assert receiver.post(secret="another").status_code == 401
    assert requests.post(receiver.url, data=ALIAS, timeout=30).status_code == 401
    assert receiver.acted == []


def test_other_events_do_nothing(receiver: Receiver) -> None:
    assert receiver.post(json.dumps({"entity": "registered_model"}).encode()).status_code == 200
    assert receiver.acted == []


@pytest.mark.parametrize("body", [b"rubbish", b"[]", b"7", b'"model_version_alias"', b"\xff"])
def test_a_body_that_is_no_event_is_answered(receiver: Receiver, body: bytes) -> None:
    assert receiver.post(body).status_code == 400
    assert receiver.acted == []


def test_a_watcher_that_is_not_there_costs_nothing(
    receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """It runs on a schedule too, and MLflow need not deliver again."""
    receiver.fail = True
    assert receiver.post().status_code == 200
    assert "the watcher was not asked to run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("length", "status"), [(str(LARGEST + 1), 413), ("-1", 413), ("many", 411), ("\u00b2", 411)]
)
def test_a_body_of_an_odd_length_is_not_read(receiver: Receiver, length: str, status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=30)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", length.encode("latin-1"))
    for name, value in signed().items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == status
    connection.close()
    assert receiver.acted == []


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "PATIENCE", 0.2)


def test_who_does_not_go_on_is_left(hasty: None, receiver: Receiver) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=30) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n")
        assert slow.recv(1) == b""


@pytest.mark.parametrize(("path", "status"), [("health", 200), ("", 404), ("other", 404)])
def test_it_says_that_it_is_well(receiver: Receiver, path: str, status: int) -> None:
    assert requests.get(receiver.url + path, timeout=30).status_code == status


def test_the_watcher_is_asked_through_the_api() -> None:
    """A tiny server in place of Prefect's."""
    asked: list[tuple[str, str, str]] = []

    class Api(webhook.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802  its own name
            asked.append(("GET", self.path, self.headers["Authorization"]))
            self._answer({"id": "17"})

        def do_POST(self) -> None:  # noqa: N802
            asked.append(("POST", self.path, self.headers["Authorization"]))
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer({})

        def _answer(self, plain: dict[str, str]) -> None:
            body = json.dumps(plain).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        webhook.nudge(f"http://127.0.0.1:{server.server_port}/api", "admin:a:word")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    who = "Basic " + base64.b64encode(b"admin:a:word").decode()
    assert asked == [
        ("GET", "/api/deployments/name/release/watch", who),
        ("POST", "/api/deployments/17/create_flow_run", who),
    ]
