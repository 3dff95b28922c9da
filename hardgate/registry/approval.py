"""The judgement whether a version may go into production on the word of a person.

Pure: what MLflow knows comes in as values, so that every refusal can be tested without a server.
The evidence is opened again at every approval; nothing that a client can write is believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from hardgate import gates, provenance, records
from hardgate.errors import HardgateError
from hardgate.evidence import signing, statement, waivers
from hardgate.evidence.statement import Predicate, RegistryEntry
from hardgate.evidence.waivers import Waiver
from hardgate.records import Verdict
from hardgate.registry.identity import Caller
from hardgate.registry.rules import APPROVER, GATE, ModelRules, Rules
from hardgate.spelling import fold

FIELDS = {
    "name": "name",
    "version": "version",
    "created_at": "creation time",
    "run_id": "run",
    "source": "source",
}


class Refusal(Exception):  # noqa: N818  an answer, not a mistake
    """The answer is no. ``forbidden``: because of who asks; else because of what is missing."""

    def __init__(self, words: str, *, forbidden: bool = False) -> None:
        super().__init__(words)
        self.words = words
        self.forbidden = forbidden


@dataclass(frozen=True)
class Approval:
    """The answer is yes, on this evidence."""

    evidence_sha256: str
    predicate: Predicate
    waived: tuple[Waiver, ...]


def ask_role(caller: Caller, rules: ModelRules | None) -> None:
    """Require the approver's role, and the second factor where the model's rules ask for it.

    Raises
    ------
    Refusal
        Says which is missing.
    """
    if APPROVER not in caller.roles:
        raise Refusal(
            f"user {caller.name!r} does not hold the role {APPROVER}; ask somebody who does",
            forbidden=True,
        )
    if GATE in caller.roles:
        raise Refusal(
            f"user {caller.name!r} holds the role {GATE} too, and the gate approves nothing",
            forbidden=True,
        )
    if rules is not None and rules.second_factor and not caller.second_factor:
        raise Refusal(
            "this model asks for a login with a second factor; log in through single sign-on "
            "with one, then approve again",
            forbidden=True,
        )


def judge(
    entry: RegistryEntry,
    evidence: bytes | None,
    files: Mapping[str, str],
    *,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> Approval:
    """Judge an approval.

    Parameters
    ----------
    entry
        The version, as the registry's own database has it.
    evidence
        The envelope that the gate service recorded for this version; None if there is none.
    files
        SHA-256 of every file of the version, by path, as they are now.

    Raises
    ------
    Refusal
        Says what is missing and what to do about it.
    """
    own = rules.models.get(entry.name)
    ask_role(caller, own)
    if own is None:
        raise Refusal(
            f"no gate policy is known for the model {entry.name!r}; add it to params.yaml, and "
            "start hardgate up again"
        )
    again = f"run hardgate harden {entry.name} again"
    if evidence is None:
        raise Refusal(f"no gate evidence is recorded for this version; {again}")
    predicate = opened(evidence, rules)
    refuse_another(predicate, entry)
    if fold(predicate.submitted_by) == fold(caller.name):
        raise Refusal(
            f"{caller.name!r} submitted this version; a second pair of eyes must approve it",
            forbidden=True,
        )
    if not predicate.issued_at <= now < predicate.valid_until:
        raise Refusal(
            f"the evidence held until {predicate.valid_until:%Y-%m-%d %H:%M} UTC; {again}"
        )
    plain = records.to_plain(rules)["models"][entry.name]["gates"]
    if predicate.policy.sha256 != provenance.sha256_json(plain):
        raise Refusal(f"the evidence was made under another gate policy than today's; {again}")
    _same_question(predicate, own, again)
    waived = _gates(predicate, own, rules, caller, now, again)
    _same_files(predicate, files)
    return Approval(digest(evidence), predicate, waived)


def opened(evidence: bytes, rules: Rules) -> Predicate:
    """Open an envelope, after the signature of a trusted key was found good."""
    try:
        signed = signing.verify(evidence, trusted=rules.trusted)
        return statement.read(signed.payload).predicate
    except (HardgateError, OSError) as error:
        raise Refusal(f"the evidence does not hold: {error}") from error


def refuse_another(predicate: Predicate, entry: RegistryEntry) -> None:
    """Refuse evidence that was made for another version."""
    found, signed = entry.model_dump(), predicate.registry.model_dump()
    for field, words in FIELDS.items():
        if found[field] != signed[field]:
            raise Refusal(
                f"the evidence is about another version (its {words} differs); run hardgate "
                f"harden {entry.name} again"
            )


def digest(evidence: bytes) -> str:
    """Digest an envelope."""
    return provenance.sha256_bytes(evidence)


def _same_question(predicate: Predicate, own: ModelRules, again: str) -> None:
    """Refuse evidence of other data, of a weaker attacker, or that was asked less."""
    params = predicate.params.content
    asked = params if isinstance(params, dict) else {}
    odd = [
        section
        for section, digest in own.sections.items()
        if section not in asked or provenance.sha256_json(asked[section]) != digest
    ]
    if odd:
        raise Refusal(
            f"the evidence was made with other params than this registry's ({', '.join(odd)}); put "
            f"them back and {again}, or start hardgate up again if params.yaml is to change"
        )


def _gates(
    predicate: Predicate, own: ModelRules, rules: Rules, caller: Caller, now: datetime, again: str
) -> tuple[Waiver, ...]:
    """Let today's gates judge the signed measurements, and excuse what is validly waived."""
    refused = [
        finding.gate
        for finding in gates.decide(own.gates, predicate.measurements)
        if finding.verdict is not Verdict.PASSED
    ]
    left, waived = waivers.excuse(refused, predicate, rules.waivers, now=now, approver=caller.name)
    if left:
        raise Refusal(f"gates not passed: {', '.join(left)}; mend the model, then {again}")
    return waived


def _same_files(predicate: Predicate, files: Mapping[str, str]) -> None:
    signed = {file.path.as_posix(): file.sha256 for file in predicate.files}
    odd = sorted(path for path in {*signed, *files} if signed.get(path) != files.get(path))
    if odd:
        more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
        raise Refusal(
            f"the model's files are not those that passed the gates: {', '.join(odd[:3])}{more}; "
            "do not use this version, and find out who changed it"
        )
