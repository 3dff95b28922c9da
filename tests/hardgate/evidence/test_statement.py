from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hardgate import provenance
from hardgate.errors import IntegrityError
from hardgate.evidence import statement
from hardgate.records import FileRecord, Verdict


def test_a_payload_is_read_back_as_it_was(case: Any) -> None:
    stated = statement.state(case.predicate)
    assert statement.read(statement.payload(stated)) == stated


def test_in_totos_own_classes_read_the_payload(case: Any) -> None:
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    plain = statement.payload(statement.state(case.predicate))
    read = Statement.copy_from_pb(json_format.Parse(plain, statement_pb2.Statement()))
    read.validate()
    assert read.pb.predicate_type == statement.PREDICATE_TYPE
    digest = provenance.sha256_tree(case.ground.directory)
    assert dict(read.pb.subject[0].digest) == {"sha256": digest}


def test_the_subject_is_the_digest_of_the_model_directory(case: Any) -> None:
    (subject,) = statement.state(case.predicate).subject
    assert subject.name == "tiny"
    assert subject.digest.sha256 == provenance.sha256_tree(case.ground.directory)


def test_the_payload_has_one_spelling_only(case: Any) -> None:
    payload = statement.payload(statement.state(case.predicate))
    assert payload == provenance.canonical_json(json.loads(payload))
    with pytest.raises(IntegrityError, match="not spelled"):
        statement.read(payload + b" ")
    with pytest.raises(IntegrityError, match="not spelled"):
        statement.read(payload.replace(b"{", b'{"_type":"https://in-toto.io/Statement/v1",', 1))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("_type",), "https://in-toto.io/Statement/v0.1"),
        (("predicateType",), "https://slsa.dev/provenance/v1"),
        (("subject", 0, "name"), "other"),
        (("subject", 0, "digest", "sha256"), "0" * 64),
        (("subject",), []),
        (("extra",), 1),
        (("predicate", "extra"), 1),
        (("predicate", "waivers"), ["all"]),
        (("predicate", "schema_version"), 2),
        (("predicate", "findings"), []),
        (("predicate", "measurements"), {}),
        (("predicate", "files"), []),
        (("predicate", "data"), []),
        (("predicate", "submitted_by"), ""),
        (("predicate", "decision"), "refused"),
        (("predicate", "issued_at"), "2026-05-31T12:00:00"),
        (("predicate", "params", "content", "seed"), 8),
        (("predicate", "files", 0, "path"), "/etc/passwd"),
        (("predicate", "splits", 0, "path"), "../test.safetensors"),
        (("predicate", "measurements", "clean/accuracy", "value"), 2),
    ],
)
def test_a_statement_that_is_not_exactly_this_is_refused(
    case: Any, path: tuple[str | int, ...], value: object
) -> None:
    plain = json.loads(statement.payload(statement.state(case.predicate)))
    inner = plain
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(IntegrityError, match="not evidence of this kind"):
        statement.read(provenance.canonical_json(plain))


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b"{", b"[" * 100_000])
def test_a_payload_that_is_no_statement_is_refused(payload: bytes) -> None:
    with pytest.raises(IntegrityError, match="not evidence of this kind"):
        statement.read(payload)


def test_not_a_number_cannot_be_stated(case: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        statement.section({"bound": float("nan")})
    with pytest.raises(ValidationError):
        statement.Section(sha256="0" * 64, content={"bound": float("inf")})


def test_evidence_holds_for_some_time(case: Any) -> None:
    moment = case.predicate.issued_at
    with pytest.raises(ValidationError, match="begins at"):
        statement.Predicate.model_validate({**dict(case.predicate), "valid_until": moment})


def test_moments_are_spelled_in_utc(case: Any) -> None:
    eastern = datetime(2026, 5, 31, 14, tzinfo=timezone(timedelta(hours=2)))
    predicate = statement.Predicate.model_validate({**dict(case.predicate), "issued_at": eastern})
    assert predicate.issued_at == datetime(2026, 5, 31, 12, tzinfo=UTC)
    assert b'"issued_at":"2026-05-31T12:00:00Z"' in statement.payload(statement.state(predicate))


def test_the_decision_follows_from_the_findings(case: Any) -> None:
    (passed,) = case.predicate.findings
    assert statement.decide((passed,)) == "promotable"
    assert statement.decide(()) == "refused"
    for verdict in (Verdict.FAILED, Verdict.UNMEASURED):
        other = passed.model_copy(update={"verdict": verdict})
        assert statement.decide((passed, other)) == "refused"


def test_files_are_listed_without_mlflows_note(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("b", "data/a", "registered_model_meta"):
        (tmp_path / name).write_text(name)
    assert statement.files_of(tmp_path) == (
        FileRecord(path=Path("b"), sha256=provenance.sha256_bytes(b"b")),
        FileRecord(path=Path("data/a"), sha256=provenance.sha256_bytes(b"data/a")),
    )


def test_evidence_without_attachments_is_spelled_as_before_there_were_any(case: Any) -> None:
    payload = statement.payload(statement.state(case.predicate))
    assert b"attachments" not in payload
    assert statement.read(payload).predicate.attachments == {}
    attached = case.predicate.model_copy(update={"attachments": {"bom.cdx.json": "a" * 64}})
    again = statement.read(statement.payload(statement.state(attached)))
    assert again.predicate.attachments == {"bom.cdx.json": "a" * 64}


@pytest.mark.parametrize("name", ["../bom.json", "/bom.json", ".bom", "a/b", "", "Bom.json"])
def test_an_attachment_lies_beside_the_evidence(case: Any, name: str) -> None:
    with pytest.raises(ValidationError):
        statement.Predicate.model_validate(
            {**dict(case.predicate), "attachments": {name: "a" * 64}}
        )
