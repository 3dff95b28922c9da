"""The probe that proves: certified accuracy, and which samples need no attack."""

from __future__ import annotations

from hardgate.certification import proofs
from hardgate.certification.proofs import Bounding
from hardgate.probes.probe import Found
from hardgate.probes.section import Evaluation
from hardgate.subject import Subject


def certify(section: Evaluation, subject: Subject) -> Found:
    """Bound the model, or let it vote under noise."""
    certification = section.certification
    if certification is None:
        return Found()
    inputs, labels = subject.shown(subject.attacked[: certification.samples])
    size = subject.batch_size
    if isinstance(certification, Bounding):
        found, proven = proofs.prove(
            certification, subject.region, subject.model, inputs, labels, batch_size=size
        )
        return Found(found, proven=proven)
    return Found(
        proofs.vote(
            certification,
            subject.region,
            subject.model,
            inputs,
            labels,
            seed=subject.seed,
            batch_size=size,
        )
    )
