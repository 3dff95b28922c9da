"""Verify evidence, offline, as a numbered list of checks.

:func:`verify` compares what the evidence says with what lies on the ground. A check passes only
when it saw that all is as signed; what is missing or cannot be read has failed, and the words
name the file or the key. Without a trusted signature there is nothing to compare with, so the
list ends there.

The commit (check 13) need not be the one checked out: numbers and gates are computed again by
the code that verifies, and both must come out the same. But evidence made by uncommitted code
fails, since nobody can look at what made it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue, PositiveInt

from hardgate import provenance
from hardgate.errors import HardgateError, IntegrityError
from hardgate.evidence import differences, statement
from hardgate.evidence.statement import Predicate, RegistryEntry, Section, Statement
from hardgate.records import FileRecord, Finding, Measurement, Record, Verdict

if TYPE_CHECKING:
    from hardgate.evidence.outcomes import Stored
    from hardgate.evidence.spotcheck import Material

COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")

Judge = Callable[[Mapping[str, Measurement]], Sequence[Finding]]


@dataclass(frozen=True)
class Spot:
    """How much of the outcomes to run again; ``material`` gathers with what, when it is asked."""

    material: Callable[[], Material]
    samples: int
    seed: int


@dataclass(frozen=True)
class Ground:
    """What lies on the ground, for the evidence to be compared with."""

    evidence: Path  # the envelope
    trusted: Path  # folder of public keys
    model: str  # the name asked about
    directory: Path  # the model's files
    model_signature: Path
    root: Path  # that raw files, suite, splits and the lock file are relative to
    params: JsonValue
    threat: JsonValue
    policy: JsonValue
    dvc_lock: JsonValue
    commit: str  # of the code that verifies
    outcomes: Path
    registry: RegistryEntry | None  # None when the registry does not know the version
    judge: Judge
    now: datetime
    waivers: Path | None = None  # folder of signed exceptions
    spot: Spot | None = None


class Check(Record):
    """One numbered check and what it found."""

    number: PositiveInt
    name: str
    passed: bool
    words: str


def verify(ground: Ground) -> tuple[Check, ...]:
    """Perform the checks in their order.

    1. the envelope is signed by a trusted key; 2. it is a statement about this model; 3. it is in
    date; 4. the model directory is the subject; 5. so says its OpenSSF signature; 6. raw data and
    suite;
    7. splits; 8. params; 9. threat; 10. gate policy; 11. dvc.lock; 12. environment lock; 13. the
    commit; 14. the outcomes and their Merkle root; 15. the measurements follow from the outcomes;
    16. the gates find the same again; 17. they let the version through; 18. the registry entry;
    19. what is attached; 20. a spot check, when asked for.
    """
    signed: list[bytes] = []
    first = _ask(1, "signature", lambda: _signature(ground, signed))
    if not signed:
        return (first,)
    read: list[Statement] = []
    second = _ask(2, "statement", lambda: _statement(ground, signed[0], read))
    if not read:
        return first, second
    rest = _Comparison(ground, read[0].predicate).questions()
    return first, second, *(_ask(number, *question) for number, question in enumerate(rest, 3))


def holds(checks: Sequence[Check]) -> bool:
    """Tell whether every check passed; no checks at all do not hold."""
    return bool(checks) and all(check.passed for check in checks)


def _ask(number: int, name: str, question: Callable[[], str]) -> Check:
    try:
        return Check(number=number, name=name, passed=True, words=question())
    except HardgateError as error:
        return Check(number=number, name=name, passed=False, words=str(error))
    except OSError as error:
        return Check(number=number, name=name, passed=False, words=f"cannot be read: {error}")


def _signature(ground: Ground, signed: list[bytes]) -> str:
    from hardgate.evidence import signing

    try:
        found = signing.verify(ground.evidence.read_bytes(), trusted=ground.trusted)
    except IntegrityError as error:
        raise IntegrityError(f"{ground.evidence.name}: {error}") from error
    signed.append(found.payload)
    return f"{ground.evidence.name} is signed by the trusted key {', '.join(found.keyids)}"


def _statement(ground: Ground, payload: bytes, read: list[Statement]) -> str:
    found = statement.read(payload)
    read.append(found)
    name = found.subject[0].name
    if name != ground.model:
        raise IntegrityError(f"the evidence is about the model {name!r}, not {ground.model!r}")
    return f"{found.predicate_type} about the model {name}"


@dataclass(frozen=True)
class _Comparison:
    """The checks that compare the ground with a predicate that a trusted key signed."""

    ground: Ground
    signed: Predicate

    def questions(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """List the checks from number 3 on."""
        ground, signed = self.ground, self.signed
        yield "date", self.date
        yield "model directory", self.directory
        yield "model signature", self.model_signature
        yield "raw data and suite", self.data
        yield "splits", lambda: self.files(signed.splits)
        yield "params", lambda: _section("params", signed.params, ground.params)
        yield "threat", lambda: _section("threat", signed.threat, ground.threat)
        yield "gate policy", lambda: _section("policy", signed.policy, ground.policy)
        yield "dvc.lock", lambda: _section("dvc.lock", signed.dvc_lock, ground.dvc_lock)
        yield "environment", lambda: self.files((signed.environment,))
        yield "commit", self.commit
        yield "outcomes", self.outcomes
        yield "measurements", self.measurements
        yield "gates", self.gates
        yield "decision", self.decision
        yield "registry", self.registry
        if self.signed.attachments:  # evidence of before there were any has none
            yield "attachments", self.attachments
        if ground.spot is not None:
            spot = ground.spot
            yield "spot check", lambda: self.spot_check(spot)

    def date(self) -> str:
        """Compare the clock with the time the evidence holds for."""
        begins, ends, now = self.signed.issued_at, self.signed.valid_until, self.ground.now
        if now < begins:
            raise IntegrityError(f"issued at {begins}, which is yet to come; look at the clock")
        if now >= ends:
            raise IntegrityError(f"expired at {ends}; harden the model again")
        return f"issued at {begins}, holds until {ends}"

    def directory(self) -> str:
        """Compare the model's files, one by one, with those of the subject."""
        differences.refuse(differences.of_directory(self.signed.files, self.ground.directory))
        digest = provenance.sha256_tree(self.ground.directory)
        return f"{len(self.signed.files)} files, digest {digest[:12]}"

    def model_signature(self) -> str:
        """Verify the OpenSSF signature, which must be the one made with the evidence."""
        from hardgate.evidence import model_signature

        path = self.ground.model_signature
        key = model_signature.verify(self.ground.directory, path, trusted=self.ground.trusted)
        if provenance.sha256_file(path) != self.signed.model_signature_sha256:
            raise IntegrityError(f"{path} is good, but not the one the evidence was made with")
        return f"{path.name} is signed by the trusted key {key}"

    def data(self) -> str:
        """Compare the raw files, of the project or a package that carries them, and the suite."""
        differences.refuse(differences.of_data(self.signed.data, self.ground.root))
        differences.refuse(differences.of_files((self.signed.suite,), self.ground.root))
        return f"as signed: {_names((*self.signed.data, self.signed.suite))}"

    def files(self, signed: Sequence[FileRecord]) -> str:
        """Compare files below the project's root."""
        differences.refuse(differences.of_files(signed, self.ground.root))
        return f"as signed: {_names(signed)}"

    def commit(self) -> str:
        """Require that somebody can look at the code that made the evidence."""
        signed = self.signed.commit
        if not COMMIT.fullmatch(signed):
            raise IntegrityError(
                f"made by {signed or 'unknown code'}, which nobody can check out; commit, and "
                "harden the model again"
            )
        if signed == self.ground.commit:
            return f"made by the code of this very commit, {signed[:12]}"
        return f"made by commit {signed[:12]}; verified by {self.ground.commit[:20]}"

    @cached_property
    def stored(self) -> Stored:
        """The outcomes, after they were found to be the signed ones."""
        from hardgate.evidence import outcomes

        path, signed = self.ground.outcomes, self.signed.outcomes
        found = outcomes.read(path)
        if (found.sha256, found.tree.root.hex()) != (signed.sha256, signed.merkle_root):
            raise IntegrityError(
                f"{path} has changed: its Merkle root is {found.tree.root.hex()[:12]}, "
                f"the evidence says {signed.merkle_root[:12]}"
            )
        attacks = tuple(sorted(found.outcomes.attacks))
        if (found.tree.size, attacks) != (signed.leaves, tuple(sorted(signed.attacks))):
            raise IntegrityError(
                f"{path} holds {found.tree.size} outcomes of {', '.join(attacks)}; the evidence "
                f"says {signed.leaves} of {', '.join(signed.attacks)}"
            )
        return found

    def outcomes(self) -> str:
        """Compare the outcomes with the signed digest, root, count and attacks."""
        size, root = self.stored.tree.size, self.stored.tree.root.hex()
        return f"{size} outcomes under the Merkle root {root[:12]}"

    def measurements(self) -> str:
        """Make every number that follows from the outcomes again."""
        from hardgate.evidence import recomputation

        signed, classes = self.signed.measurements, self.signed.classes
        found = recomputation.recompute(self.stored.outcomes, classes=classes)
        names = [name for name in signed if recomputation.can_recompute(name, classes=classes)]
        differences.refuse(differences.of_measurements(names, signed, found))
        if not names:
            raise IntegrityError("no signed measurement follows from the outcomes")
        return f"{len(names)} of {len(signed)} made again from the outcomes, all the same"

    def gates(self) -> str:
        """Let the gates judge the signed measurements again."""
        findings = self.ground.judge(self.signed.measurements)
        differences.refuse(differences.of_findings(self.signed.findings, findings))
        return f"{len(findings)} gates find the same again: {self.signed.decision}"

    def decision(self) -> str:
        """Require that the gates let this version through: good evidence can say no."""
        from hardgate.evidence import waivers

        refused = [f.gate for f in self.signed.findings if f.verdict is not Verdict.PASSED]
        left, waived = waivers.excuse(
            refused, self.signed, self.ground.waivers, now=self.ground.now
        )
        if left or (self.signed.decision != "promotable" and not refused):
            raise IntegrityError(
                f"the gates refused this version: {', '.join(left or refused)}; do not use it"
            )
        return "; waived: ".join((self.signed.decision, *map(str, waived)))

    def registry(self) -> str:
        """Compare the registry's entry: another one's evidence cannot be put on this one."""
        signed, found = self.signed.registry, self.ground.registry
        if found is None:
            raise IntegrityError(f"the registry has no version {signed.version} of {signed.name}")
        differences.refuse(
            differences.of_values(signed.model_dump(), found.model_dump(), "registry")
        )
        return f"version {signed.version} of {signed.name}, submitted by {self.signed.submitted_by}"

    def attachments(self) -> str:
        """Compare the files beside the evidence that say more: bill of materials, provenance."""
        signed = tuple(
            FileRecord(path=Path(name), sha256=sha256)
            for name, sha256 in sorted(self.signed.attachments.items())
        )
        differences.refuse(differences.of_files(signed, self.ground.evidence.parent))
        return f"as signed: {_names(signed)}"

    def spot_check(self, spot: Spot) -> str:
        """Run some of the outcomes again."""
        from hardgate.evidence import spotcheck

        root = bytes.fromhex(self.signed.outcomes.merkle_root)
        report = spotcheck.spot_check(
            self.stored, spot.material(), root=root, samples=spot.samples, seed=spot.seed
        )
        differences.refuse(report.problems)
        return spotcheck.meaning(report)


def _names(files: Sequence[FileRecord]) -> str:
    return ", ".join(file.path.as_posix() for file in files)


def _section(name: str, signed: Section, found: JsonValue) -> str:
    differences.refuse(differences.of_values(signed.content, found, name))
    return f"as signed, digest {signed.sha256[:12]}"
