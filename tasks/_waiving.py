"""Sign an exception: one gate, for one model digest, with a reason, a name and an end."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hardgate import state
from hardgate.errors import ParamsError
from hardgate.evidence import signing, statement, waivers
from hardgate.evidence.waivers import Waiver
from hardgate.records import Verdict
from hardgate.spelling import fold
from tasks import _registry, _verification, _versions, promotion

TAG = "gate.waived"
LONGEST = 365  # days


def waive(named: str, gate: str, *, reason: str, days: int, by: str | None) -> tuple[Waiver, Path]:
    """Sign a waiver and show it on the version's page.

    Raises
    ------
    ParamsError
        If the gate did not refuse this version, the reason is too short, or the same person
        submitted it.
    IntegrityError
        If the evidence does not hold, or the key that signs waivers is not trusted.
    """
    if not 0 < days <= LONGEST:
        raise ParamsError(f"--days {days}: expected 1 to {LONGEST}")
    if len(reason.strip()) < waivers.SHORTEST:
        raise ParamsError(f"--reason: expected at least {waivers.SHORTEST} characters")
    version = _verification.find(named)
    name = f"{version.name}/{version.version}"
    predicate = _evidence(version)
    refused = {f.gate for f in predicate.findings if f.verdict is not Verdict.PASSED}
    if gate not in refused:
        raise ParamsError(
            f"the gate {gate!r} did not refuse {name}; those that did: "
            f"{', '.join(sorted(refused)) or 'none'}"
        )
    who = by or promotion.submitter()
    if fold(who) == fold(predicate.submitted_by):
        raise ParamsError(
            f"{who!r} submitted {name}; a second pair of eyes must excuse a gate, named with --by"
        )
    now = datetime.now(UTC).replace(microsecond=0)
    made = Waiver(
        gate=gate, reason=reason, by=who, issued_at=now, valid_until=now + timedelta(days=days)
    )
    folder = state.room(waivers.ROOM)
    uri = os.environ.get("HARDGATE_WAIVER_SIGNER") or f"file2:{state.room('keys') / 'waiver.pem'}"
    signer = signing.open_signer(
        uri,
        trusted=folder / waivers.TRUSTED,
        keyid=os.environ.get("HARDGATE_WAIVER_SIGNER_KEYID"),
    )
    subject = statement.subject(predicate)
    path = waivers.write(made, subject, folder, signer)
    standing = waivers.standing(folder, model=subject.digest.sha256, now=now)
    _registry.mark(version, {TAG: "; ".join(map(str, standing))})
    return made, path


def _evidence(version: _registry.Version) -> statement.Predicate:
    folder = state.room("verification") / version.name
    shutil.rmtree(folder, ignore_errors=True)
    evidence = _registry.fetch_files(version.run_id, _versions.EVIDENCE_FOLDER, folder)
    content = (evidence / _versions.EVIDENCE).read_bytes()
    signed = signing.verify(content, trusted=state.room("keys") / "trusted")
    return statement.read(signed.payload).predicate
