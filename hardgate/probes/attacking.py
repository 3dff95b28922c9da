"""Probes that attack the candidate: ladders, gate mode, the security curve, queries, doubt."""

from __future__ import annotations

import torch
from torch import Tensor

from hardgate import (
    cascade,
    diagnostics,
    known_answers,
    measurements,
    queries,
    robustness,
    sequential,
    statistics,
)
from hardgate.attacks import Cascade
from hardgate.certification.proofs import Bounding
from hardgate.errors import ContractError
from hardgate.probes.probe import Found
from hardgate.probes.proving import certify
from hardgate.probes.section import Evaluation
from hardgate.records import Measurement
from hardgate.subject import Subject


def cascaded(ladder: Cascade, section: Evaluation, subject: Subject) -> Found:
    """Send samples up a ladder; what is proven needs no attack."""
    inputs, labels = subject.shown(subject.attacked)
    found = cascade.measure(
        ladder,
        subject.threat,
        subject.region,
        subject.model,
        inputs,
        labels,
        seed=subject.seed,
        batch_size=subject.batch_size,
        certified=proven_of(section, subject),
    )
    return Found(
        found.added(),
        inputs=found.worst.adversarial,
        probabilities=found.worst.probabilities,
    )


def proven_of(section: Evaluation, subject: Subject) -> Tensor | None:
    """Tell which attacked samples need no attack, for it is proven that none succeeds."""
    if not isinstance(section.certification, Bounding):
        return None
    proven = certify(section, subject).proven
    if proven is None:
        return None
    beyond = torch.zeros(len(subject.attacked) - len(proven), dtype=torch.bool)
    return torch.cat([proven.cpu(), beyond])


def judged(section: Evaluation, subject: Subject, attempt: int) -> dict[str, Measurement]:
    """Attack samples, the likely failures first, until the answer about the bound is sure."""
    asked = section.sequential
    if asked is None:
        return {}
    ladder = next(attack for attack in section.attacks if attack.name == asked.attack)
    if not isinstance(ladder, Cascade):
        raise ContractError(f"{asked.attack} is no cascade; the params section lets none other in")
    inputs, labels = subject.shown(subject.attacked)
    answer = cascade.judge(
        ladder,
        subject.threat,
        subject.region,
        subject.model,
        inputs,
        labels,
        bound=asked.bound,
        alpha=sequential.spend(asked.alpha, attempt),
        seed=subject.seed,
        batch_size=subject.batch_size,
        certified=proven_of(section, subject),
    )
    samples = len(subject.attacked)
    said = {
        measurements.reaches(asked.attack, asked.bound): float(answer.passes is True),
        measurements.error_rate(asked.attack): answer.alpha,
        measurements.seen(asked.attack): float(answer.seen),
    }
    return {name: statistics.exact(value, samples) for name, value in said.items()}


def curve(section: Evaluation, subject: Subject) -> dict[str, Measurement]:
    """Attack at multiples of the threat's eps."""
    inputs, labels = subject.shown(subject.attacked[: section.curve.samples])
    return robustness.security_curve(
        section.curve.attack,
        subject.threat,
        subject.region,
        subject.model,
        inputs,
        labels,
        factors=section.curve.factors,
        seed=subject.seed,
        batch_size=subject.batch_size,
    )


def queried(section: Evaluation, subject: Subject) -> dict[str, Measurement]:
    """Count after how many questions samples fall."""
    if section.queries is None:
        return {}
    inputs, labels = subject.shown(subject.attacked[: section.queries.samples])
    return queries.measure(
        section.queries,
        subject.threat,
        subject.region,
        subject.model,
        inputs,
        labels,
        seed=subject.seed,
        batch_size=subject.batch_size,
    )


def doubted(section: Evaluation, subject: Subject) -> dict[str, Measurement]:
    """Ask attacks what is known, and the model for signs of masked gradients."""
    inputs, labels = subject.shown(subject.attacked[: section.diagnostics])
    found = known_answers.measure(section.attacks, subject.spec, subject.threat)
    return found | diagnostics.measure(
        section.attacks,
        subject.threat,
        subject.region,
        subject.model,
        inputs,
        labels,
        seed=subject.seed,
        batch_size=subject.batch_size,
    )
