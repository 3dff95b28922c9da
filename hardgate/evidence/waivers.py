"""Waivers: signed, named, reasoned and expiring exceptions to one gate for one model digest.

A waiver is an in-toto Statement in a DSSE envelope like evidence is, but signed by other keys: the
folder of waivers brings its own trusted ones, so that the gate cannot excuse what it refused. Nor
can who submitted the model.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, ValidationError
from securesystemslib.signer import Signer  # type: ignore[attr-defined]

from hardgate import files, provenance, records
from hardgate.errors import IntegrityError
from hardgate.evidence import signing, statement
from hardgate.evidence.statement import Bound, Dated, Predicate, Subject
from hardgate.spelling import fold

PREDICATE_TYPE: Final = "https://hardgate.dev/waiver/v1"
ROOM: Final = "waivers"  # of the state folder
TRUSTED: Final = "trusted"  # folder of public keys within the folder of waivers
ENDING: Final = ".waiver.json"

SHORTEST: Final = 10  # characters of a reason

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=SHORTEST)]


class Waiver(Dated):
    """Who excuses which gate, why, and until when."""

    gate: Annotated[str, Field(min_length=1)]  # its label, such as ``robust_auc/worst_case``
    reason: Words
    by: Annotated[str, Field(min_length=1)]

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.gate} until {self.valid_until:%Y-%m-%d}, by {self.by}: {self.reason}"


class WaiverStatement(Bound):
    """A waiver, bound to the one model it excuses."""

    predicate_type: Literal["https://hardgate.dev/waiver/v1"] = Field(
        PREDICATE_TYPE, alias="predicateType"
    )
    predicate: Waiver


def write(waiver: Waiver, subject: Subject, folder: Path, signer: Signer) -> Path:
    """Sign a waiver and put it into the folder; its name is its digest."""
    made = WaiverStatement(subject=(subject,), predicate=waiver)
    content = signing.sign(statement.payload(made), signer)
    path = folder / f"{provenance.sha256_bytes(content)[:16]}{ENDING}"
    files.write_bytes(path, content)
    return path


def excuse(
    refused: Sequence[str],
    predicate: Predicate,
    folder: Path | None,
    *,
    now: datetime,
    approver: str | None = None,
) -> tuple[tuple[str, ...], tuple[Waiver, ...]]:
    """Part the gates that refused a model into those that stand and the waivers of the others.

    Neither who submitted the model nor who approves it excuses a gate.
    """
    barred = {fold(name) for name in (predicate.submitted_by, approver) if name}
    digest = statement.subject(predicate).digest.sha256
    given = {
        waiver.gate: waiver
        for waiver in (standing(folder, model=digest, now=now) if folder else ())
        if fold(waiver.by) not in barred
    }
    return (
        tuple(gate for gate in refused if gate not in given),
        tuple(given[gate] for gate in refused if gate in given),
    )


def standing(folder: Path, *, model: str, now: datetime) -> tuple[Waiver, ...]:
    """List the waivers that hold now for a model digest.

    One that is broken, unsigned, foreign or out of date excuses nothing; the log says why.
    """
    found = []
    for path in sorted(folder.glob(f"*{ENDING}")):
        try:
            made = _read(path.read_bytes(), folder / TRUSTED)
        except (IntegrityError, OSError) as error:
            logging.getLogger(__name__).warning("%s excuses nothing: %s", path, error)
            continue
        waiver = made.predicate
        if made.subject[0].digest.sha256 == model and waiver.issued_at <= now < waiver.valid_until:
            found.append(waiver)
    return tuple(found)


def _read(content: bytes, trusted: Path) -> WaiverStatement:
    signed = signing.verify(content, trusted=trusted)
    try:
        return WaiverStatement.model_validate_json(signed.payload)
    except ValidationError as error:
        raise IntegrityError(
            "the signed payload is not a waiver: "
            + records.first_problem(error, "the whole payload")
        ) from error
