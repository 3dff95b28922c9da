"""Probes that only look: at clean inputs, and at those of a changed world."""

from __future__ import annotations

from hardgate import measurements, quality, shifts
from hardgate.probes.probe import Found
from hardgate.probes.section import Evaluation
from hardgate.records import Measurement
from hardgate.subject import Subject


def clean(subject: Subject) -> Found:
    """Ask about the whole test split, unchanged."""
    probabilities = subject.predict(subject.test.inputs)
    found = quality.measure(
        subject.test.labels.numpy(), probabilities.double().numpy(), seed=subject.seed
    )
    return Found(
        {measurements.clean(metric): value for metric, value in found.items()}, probabilities
    )


def shifted(section: Evaluation, subject: Subject) -> dict[str, Measurement]:
    """Ask about rows as a changed world would bring them."""
    asked = section.shifts
    if asked is None:
        return {}
    return shifts.measure(
        asked,
        subject.spec,
        subject.test.take(subject.attacked[: asked.samples]),
        subject.predict,
        seed=subject.seed,
    )
