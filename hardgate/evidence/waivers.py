"""Waivers: signed, named, reasoned and expiring exceptions to one gate for one model digest.

A waiver is an in-toto Statement in a DSSE envelope like evidence is, but signed by other keys: the
folder of waivers brings its own trusted ones, so that the gate cannot excuse what it refused.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, ValidationError, model_validator
from securesystemslib.signer import Signer  # type: ignore[attr-defined]

from hardgate import files, provenance
from hardgate.errors import IntegrityError
from hardgate.evidence import signing
from hardgate.evidence.statement import STATEMENT_TYPE, Moment, Subject
from hardgate.records import Record

PREDICATE_TYPE: Final = "https://hardgate.dev/waiver/v1"
TRUSTED: Final = "trusted"  # folder of public keys within the folder of waivers
ENDING: Final = ".waiver.json"

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=10)]


class Waiver(Record):
    """Who excuses which gate, why, and until when."""

    gate: Annotated[str, Field(min_length=1)]  # its label, such as ``robust_auc/worst_case``
    reason: Words
    by: Annotated[str, Field(min_length=1)]
    issued_at: Moment
    valid_until: Moment

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if not self.issued_at < self.valid_until:
            raise ValueError(f"it ends at {self.valid_until} and begins at {self.issued_at}")
        return self


class WaiverStatement(Record):
    """A waiver, bound to the one model it excuses."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    type: Literal["https://in-toto.io/Statement/v1"] = Field(STATEMENT_TYPE, alias="_type")
    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=1)]
    predicate_type: Literal["https://hardgate.dev/waiver/v1"] = Field(
        PREDICATE_TYPE, alias="predicateType"
    )
    predicate: Waiver


def write(waiver: Waiver, subject: Subject, folder: Path, signer: Signer) -> Path:
    """Sign a waiver and put it into the folder; its name is its digest."""
    made = WaiverStatement(subject=(subject,), predicate=waiver)
    plain: Any = json.loads(made.model_dump_json(by_alias=True))
    content = signing.sign(provenance.canonical_json(plain), signer)
    path = folder / f"{provenance.sha256_bytes(content)[:16]}{ENDING}"
    files.write_bytes(path, content)
    return path


def standing(folder: Path, *, model: str, now: datetime) -> dict[str, Waiver]:
    """List the waivers that hold now for a model digest, by the gate they excuse.

    One that is broken, unsigned, foreign or out of date excuses nothing; the log says why.
    """
    found: dict[str, Waiver] = {}
    for path in sorted(folder.glob(f"*{ENDING}")):
        try:
            made = _read(path.read_bytes(), folder / TRUSTED)
        except (IntegrityError, OSError) as error:
            logging.getLogger(__name__).warning("%s excuses nothing: %s", path, error)
            continue
        waiver = made.predicate
        if made.subject[0].digest.sha256 == model and waiver.issued_at <= now < waiver.valid_until:
            found[waiver.gate] = waiver
    return found


def _read(content: bytes, trusted: Path) -> WaiverStatement:
    signed = signing.verify(content, trusted=trusted)
    try:
        return WaiverStatement.model_validate_json(signed.payload)
    except ValidationError as error:
        first = error.errors()[0]
        raise IntegrityError(
            f"the signed payload is not a waiver: {'.'.join(map(str, first['loc']))}: "
            f"{first['msg']}"
        ) from error
