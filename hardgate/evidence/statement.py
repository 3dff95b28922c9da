"""What the evidence says: an in-toto Statement v1 about one model directory.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md. The statement is written as
canonical JSON. The generated classes of ``in_toto_attestation`` keep a predicate as a protobuf
``Struct``, in which every integer becomes a double and nothing is closed, so it is a
:class:`~hardgate.records.Record` here; a test has those classes read it.

Sections of settings are kept whole beside their digest, so that verification can name the key
that differs and an auditor needs no other file to read them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    JsonValue,
    PositiveInt,
    StringConstraints,
    ValidationError,
    model_validator,
)

from hardgate import provenance, records
from hardgate.errors import IntegrityError
from hardgate.records import (
    Ancestor,
    FileRecord,
    Finding,
    Measurement,
    Record,
    Sha256,
    Verdict,
)

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://hardgate.dev/evidence/v1"


def _stays_below(file: FileRecord) -> FileRecord:
    path = PurePosixPath(file.path.as_posix())
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{path} leads out of its directory")
    return file


def _as_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _is_empty(attachments: dict[str, str]) -> bool:
    return not attachments


FileName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
Below = Annotated[FileRecord, AfterValidator(_stays_below)]
Moment = Annotated[AwareDatetime, AfterValidator(_as_utc)]


class Section(Record):
    """A section of settings, whole, and the digest of its canonical JSON."""

    sha256: Sha256
    content: JsonValue

    @model_validator(mode="after")
    def _is_its_digest(self) -> Self:
        if provenance.sha256_json(self.content) != self.sha256:
            raise ValueError("the content does not have the digest beside it")
        return self


class RegistryEntry(Record):
    """One version in the registry.

    Version numbers restart at 1 when a model is deleted and made again; ``created_at``, the
    registry's creation timestamp in milliseconds, does not come back.
    """

    name: str
    version: str
    created_at: PositiveInt
    run_id: str
    source: str


class OutcomesRecord(Record):
    """The file of per-sample outcomes, and the root of the tree over them."""

    sha256: Sha256
    merkle_root: Sha256
    leaves: PositiveInt
    attacks: tuple[str, ...]


class Lineage(Record):
    """Which earlier versions had a part in this one, and what it leaves to later ones."""

    champion: Ancestor | None = None  # in production when this one was decided on
    start: Ancestor | None = None  # whose weights training began with
    earlier: tuple[Ancestor, ...] = ()  # that training samples were made against
    regression_sha256: Sha256 | None = None  # the file of kept adversarial inputs


class Dated(Record):
    """What holds for some time."""

    issued_at: Moment
    valid_until: Moment

    @model_validator(mode="after")
    def _holds_for_some_time(self) -> Self:
        if not self.issued_at < self.valid_until:
            raise ValueError(f"it ends at {self.valid_until} and begins at {self.issued_at}")
        return self


class Predicate(Dated):
    """Everything the decision rests on."""

    schema_version: Literal[1] = 1
    model: str
    classes: Annotated[int, Field(ge=2)]
    registry: RegistryEntry
    files: tuple[Below, ...] = Field(min_length=1)  # of the model directory, relative to it
    model_signature_sha256: Sha256  # of the OpenSSF signature file
    data: tuple[FileRecord, ...] = Field(min_length=1)  # raw files, wherever they are kept
    suite: Below  # what was expected of them
    splits: tuple[Below, ...] = Field(min_length=1)
    params: Section
    threat: Section
    policy: Section
    dvc_lock: Section
    environment: Below  # the lock file
    commit: str
    seeds: dict[str, int]
    measurements: dict[str, Measurement] = Field(min_length=1)
    outcomes: OutcomesRecord
    lineage: Lineage = Lineage()
    # What the model answered to its own input example: probabilities, (rows, classes).
    predictions: tuple[tuple[float, ...], ...] = ()
    # Files beside the evidence that say more, by name; evidence of before there were any has none,
    # and is spelled as it was signed.
    attachments: dict[FileName, Sha256] = Field({}, exclude_if=_is_empty)
    findings: tuple[Finding, ...] = Field(min_length=1)
    decision: Literal["promotable", "refused"]
    submitted_by: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _decides_as_it_found(self) -> Self:
        if self.decision != decide(self.findings):
            raise ValueError(f"the decision {self.decision!r} does not follow from the findings")
        return self


class Digest(Record):
    """A digest, by the name of its algorithm."""

    sha256: Sha256


class Subject(Record):
    """The model directory that is spoken of."""

    name: str
    digest: Digest


class Bound(Record):
    """Whatever is said of one subject, in the form that in-toto prescribes."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    type: Literal["https://in-toto.io/Statement/v1"] = Field(STATEMENT_TYPE, alias="_type")
    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=1)]


class Statement(Bound):
    """The predicate, bound to the model directory it is about."""

    predicate_type: Literal["https://hardgate.dev/evidence/v1"] = Field(
        PREDICATE_TYPE, alias="predicateType"
    )
    predicate: Predicate

    @model_validator(mode="after")
    def _speaks_of_its_subject(self) -> Self:
        if self.subject != (subject(self.predicate),):
            raise ValueError("the predicate's model and files are not the subject's")
        return self


def section(content: JsonValue) -> Section:
    """Keep a section of settings with its digest; ``content`` consists of JSON's own types."""
    return Section(sha256=provenance.sha256_json(content), content=content)


def files_of(directory: Path) -> tuple[FileRecord, ...]:
    """List a model directory's files with their digests."""
    return tuple(
        FileRecord(path=path, sha256=provenance.sha256_file(directory / path))
        for path in provenance.files_below(directory)
    )


def decide(findings: tuple[Finding, ...]) -> Literal["promotable", "refused"]:
    """Sum up: promotable when there are findings and all of them passed."""
    passed = bool(findings) and all(finding.verdict is Verdict.PASSED for finding in findings)
    return "promotable" if passed else "refused"


def state(predicate: Predicate) -> Statement:
    """Bind a predicate to the model directory whose files it lists."""
    return Statement(subject=(subject(predicate),), predicate=predicate)


def payload(statement: Bound) -> bytes:
    """Spell a statement as the bytes that are signed."""
    plain: Any = json.loads(statement.model_dump_json(by_alias=True))
    return provenance.canonical_json(plain)


def read(content: bytes) -> Statement:
    """Read a signed payload back.

    Raises
    ------
    IntegrityError
        If it is not such a statement; names the key.
    """
    try:
        statement = Statement.model_validate_json(content)
    except ValidationError as error:
        raise IntegrityError(
            "the signed payload is not evidence of this kind: "
            + records.first_problem(error, "the whole payload")
        ) from error
    if payload(statement) != content:
        raise IntegrityError("the signed payload is not spelled as evidence is")
    return statement


def subject(predicate: Predicate) -> Subject:
    """Name the model directory that a predicate speaks of, by its digest."""
    digests: dict[str, str] = {file.path.as_posix(): file.sha256 for file in predicate.files}
    # As provenance.sha256_tree has it of the directory itself.
    return Subject(name=predicate.model, digest=Digest(sha256=provenance.sha256_json(digests)))
