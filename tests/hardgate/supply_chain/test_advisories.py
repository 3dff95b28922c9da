"""What is known of a package is found, counted once, and never taken for less than it is."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hardgate.errors import IntegrityError, UnavailableError
from hardgate.supply_chain import advisories, severity, updating
from hardgate.supply_chain.advisories import Snapshot

TODAY = date(2026, 3, 1)


def entry(
    name="GHSA-1", package="alpha", events=(("introduced", "0"), ("fixed", "2.0")), **changes
):
    ranges = [{"type": "ECOSYSTEM", "events": [{what: version} for what, version in events]}]
    affected = {"package": {"ecosystem": "PyPI", "name": package}, "ranges": ranges}
    return {"id": name, "summary": "it breaks", "affected": [affected], **changes}


def snapshot(*entries: dict[str, Any], as_of: date = TODAY) -> Snapshot:
    return Snapshot(
        schema_version=1, as_of=as_of, source="test", asked=("alpha", "beta"), advisories=entries
    )


def found(version: str, *entries: dict[str, Any]) -> int:
    return len(advisories.faults(snapshot(*entries), {"alpha": version}))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HARDGATE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("events", "inside", "outside"),
    [
        ([("introduced", "0"), ("fixed", "2.0")], ["0.1", "1.9", "2.0rc1"], ["2.0", "3"]),
        ([("introduced", "1.0"), ("fixed", "2.0")], ["1.0", "1.5"], ["0.9", "2.0"]),
        ([("introduced", "1"), ("last_affected", "2.0")], ["1", "2.0"], ["2.0.1"]),
        ([("introduced", "1")], ["1", "99"], ["0.9"]),
        (
            [("introduced", "2.0"), ("fixed", "2.5"), ("introduced", "0"), ("fixed", "1.2")],
            ["1.1", "2.4"],
            ["1.2", "1.9", "2.5"],
        ),
    ],
)
def test_ranges_are_followed(events, inside, outside):
    assert all(found(version, entry(events=events)) for version in inside)
    assert not any(found(version, entry(events=events)) for version in outside)


def test_what_cannot_be_told_counts_against_the_package():
    assert found("unknown", entry())
    nothing = {"package": {"ecosystem": "PyPI", "name": "alpha"}}
    assert found("1", entry(affected=[nothing]))
    odd = entry(events=[("introduced", "0"), ("fixed", "0.2.0-n653")])
    assert found("5", odd)
    odd["affected"][0]["versions"] = ["0.1", "0.2.0-n653"]  # as the database has some
    assert not found("5", odd)
    assert found("0.1", odd)


def test_another_package_or_ecosystem_is_not_meant():
    other = entry()
    other["affected"][0]["package"]["ecosystem"] = "npm"
    assert not found("1", other, entry(package="beta"))
    assert found("1", entry(package="Alpha"))
    assert not found("1", entry(withdrawn="2025-01-01T00:00:00Z"))


def test_one_fault_of_many_names_is_one():
    same = (
        entry("PYSEC-1", aliases=["CVE-1"]),
        entry("GHSA-1", aliases=["CVE-1"], database_specific={"severity": "HIGH"}),
        entry("CVE-1"),
        entry("GHSA-2", database_specific={"severity": "LOW"}),
    )
    one, other = advisories.faults(snapshot(*same), {"alpha": "1"})
    assert one.names == ("CVE-1", "GHSA-1", "PYSEC-1")
    assert one.severity == "high"
    assert other.severity == "low"
    assert str(one) == "alpha 1: CVE-1, GHSA-1, PYSEC-1 (high), it breaks; fixed in 2.0"


def test_an_unknown_severity_is_the_gravest():
    (fault,) = advisories.faults(snapshot(entry()), {"alpha": "1"})
    assert all(fault.at_least(each) for each in severity.SEVERITIES)
    (low,) = advisories.faults(
        snapshot(entry(database_specific={"severity": "LOW"})), {"alpha": "1"}
    )
    assert [low.at_least(each) for each in severity.SEVERITIES] == [True, False, False, False]


@pytest.mark.parametrize(
    ("vector", "score", "word"),
    [  # the first four are examples of the specification's own
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, "critical"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0, "critical"),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1, "moderate"),
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H", 5.9, "moderate"),
        ("CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", 7.8, "high"),
        ("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", 1.6, "low"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0, "low"),
    ],
)
def test_vectors_come_to_their_published_scores(vector, score, word):
    assert severity.base_score(vector) == score
    assert severity.of({"severity": [{"type": "CVSS_V3", "score": vector}]}) == word


@pytest.mark.parametrize(
    "vector", ["", "7.5", "CVSS:4.0/AV:N/AC:L", "CVSS:3.1/AV:N", "AV:N/AC:L/Au:N"]
)
def test_what_is_no_vector_has_no_severity(vector):
    assert severity.base_score(vector) is None
    assert severity.of({"severity": [{"type": "CVSS_V3", "score": vector}]}) is None


def test_the_snapshot_that_comes_along_is_sound_and_finds_what_it_names():
    bundled = advisories.read(advisories.BUNDLED)
    assert len(bundled.advisories) == 37
    assert len(bundled.asked) == 27
    named = {name for each in bundled.advisories for name in advisories.packages(each)}
    assert named == set(bundled.asked)
    old = dict.fromkeys(bundled.asked, "1.0.5") | {"torch": "2.5.1", "certifi": "2020.1.1"}
    names = {fault.package for fault in advisories.faults(bundled, old)}
    assert {"torch", "jinja2", "pyyaml", "certifi", "werkzeug"} <= names
    (torch,) = advisories.faults(bundled, {"torch": "2.5.1"})
    assert "CVE-2025-32434" in str(torch)
    assert not advisories.faults(bundled, {"torch": "2.6.0"})


def test_the_guide_says_how_small_it_is():
    bundled = advisories.read(advisories.BUNDLED)
    words = " ".join(Path("docs/gates.md").read_text(encoding="utf-8").split())
    assert f"{len(bundled.advisories)} advisories on {len(bundled.asked)} packages" in words
    assert f"until {bundled.as_of:%B %Y}" in words


@pytest.mark.parametrize(
    "broken",
    [
        {"id": 7},
        entry(schema_version="2.0"),
        {"id": "x", "affected": [{}]},
        {"id": "x", "affected": "alpha"},
        entry(affected=[{"package": {"ecosystem": "PyPI", "name": "alpha"}, "ranges": [{}]}]),
        entry(aliases=7),
    ],
)
def test_a_broken_snapshot_is_refused_with_words(tmp_path, broken):
    path = tmp_path / "x.json"
    good = {"schema_version": 1, "as_of": "2026-01-01", "source": "x", "asked": ["alpha"]}
    path.write_text(json.dumps(good | {"advisories": [broken]}))
    with pytest.raises(
        IntegrityError, match=r"no snapshot of advisories.*hardgate doctor --update"
    ):
        advisories.read(path)
    path.write_text("{")
    with pytest.raises(IntegrityError, match="no snapshot"):
        advisories.read(path)


class Osv(BaseHTTPRequestHandler):
    """Answers as OSV's own server does: one entry a page."""

    known: ClassVar[dict[str, list[dict[str, Any]]]] = {}
    broken: ClassVar[str | None] = None

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name, page = asked["package"]["name"], int(asked.get("page_token", 0))
        entries = self.known.get(name, [])
        answer: Any = {"vulns": entries[page : page + 1]} if entries else {}
        if page + 1 < len(entries):
            answer["next_page_token"] = str(page + 1)
        body = json.dumps(answer).encode()
        if self.path != "/v1/query" or name == self.broken:
            self.send_response(503)
            body = b"busy"
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[str]:
    monkeypatch.setattr(Osv, "known", {"alpha": [entry("GHSA-1"), entry("GHSA-2")]})
    monkeypatch.setattr(Osv, "broken", None)
    with ThreadingHTTPServer(("127.0.0.1", 0), Osv) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def test_a_server_is_asked_of_every_package_and_every_page(server):
    made = updating.update(f"{server}/", {"alpha", "beta"}, today=TODAY)
    assert made.as_of == TODAY
    assert made.asked == ("alpha", "beta")
    assert {each["id"] for each in made.advisories} == {"GHSA-1", "GHSA-2"}
    newest = advisories.newest()
    assert newest == made
    assert newest.age(date(2026, 3, 11)) == 10
    assert len(advisories.faults(newest, {"alpha": "1", "beta": "1"})) == 2


def test_a_server_that_does_not_answer_for_one_changes_nothing(server, monkeypatch):
    updating.update(server, {"alpha"}, today=TODAY)
    before = advisories.place().read_bytes()
    monkeypatch.setattr(Osv, "broken", "beta")
    with pytest.raises(UnavailableError, match="did not say what is known of beta"):
        updating.update(server, {"alpha", "beta"}, today=TODAY)
    with pytest.raises(UnavailableError, match="stays as it is"):
        updating.update("http://127.0.0.1:1", {"alpha"}, today=TODAY)
    monkeypatch.setattr(Osv, "known", {"alpha": [{"no": "id"}]})
    with pytest.raises(UnavailableError, match="of alpha"):
        updating.update(server, {"alpha"}, today=TODAY)
    monkeypatch.setattr(Osv, "known", {"alpha": [{"id": "x", "affected": 7}]})
    with pytest.raises(IntegrityError, match="not in OSV form"):
        updating.update(server, {"alpha"}, today=TODAY)
    assert advisories.place().read_bytes() == before


def test_files_of_osv_are_read_from_a_folder_and_a_zip(tmp_path):
    import yaml

    folder = tmp_path / "database" / "vulns" / "alpha"
    folder.mkdir(parents=True)
    (folder / "one.json").write_text(json.dumps(entry("GHSA-1", modified="2026-01-05T00:00:00Z")))
    (folder / "two.yaml").write_text(yaml.safe_dump(entry("PYSEC-2", modified="2026-02-03")))
    (folder / "other.json").write_text(json.dumps(entry("GHSA-3", "gamma", modified="2026-02-09")))
    (folder / "README.md").write_text("not an entry")
    (folder / "config.yaml").write_text("a: 1\n")
    made = updating.update(str(tmp_path / "database"), {"alpha"}, today=TODAY)
    assert [each["id"] for each in made.advisories] == ["GHSA-1", "PYSEC-2"]
    assert made.as_of == date(2026, 2, 3)  # of the newest entry, and not of today
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in folder.iterdir():
            zipped.write(path, path.name)
    assert updating.update(str(archive), {"alpha"}, today=TODAY).advisories == made.advisories
    for bad in ("missing", "database/vulns/alpha/README.md"):
        with pytest.raises(UnavailableError, match="cannot be read"):
            updating.update(str(tmp_path / bad), {"alpha"}, today=TODAY)
    with pytest.raises(UnavailableError, match="no dated entry"):
        updating.update(str(tmp_path / "database"), {"delta"}, today=TODAY)


def test_a_date_of_the_future_is_not_believed(tmp_path):
    (tmp_path / "one.json").write_text(json.dumps(entry(modified="9000-01-01T00:00:00Z")))
    assert updating.update(str(tmp_path), {"alpha"}, today=TODAY).as_of == TODAY


def test_the_snapshot_that_knows_most_is_used(tmp_path):
    assert advisories.newest() == advisories.read(advisories.BUNDLED)
    (tmp_path / "one.json").write_text(json.dumps(entry(modified="2020-01-01T00:00:00Z")))
    updating.update(str(tmp_path), {"alpha"}, today=TODAY)
    assert advisories.newest() == advisories.read(advisories.BUNDLED)
