"""Asks whether the candidate survives bad weather, without an enemy.

Mu and Gilmer (2019), "MNIST-C: a robustness benchmark for computer vision": adversarial training
often makes this worse, so it is asked for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtLeast, Question
from hardgate.records import Finding, Measurement, Record


class CorruptionGate(Record):
    """Mean accuracy over all corruptions and severities is at least ``bound``."""

    kind: Literal["corruption"]
    bound: AtLeast
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return self.kind

    def questions(self) -> tuple[Question, ...]:
        """Ask for the mean accuracy."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.CORRUPTION_MEAN,
                end="lower",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )

    def judge(self, evidence: Mapping[str, Measurement]) -> Finding:
        """Answer from evidence."""
        (question,) = self.questions()
        return question.judge(evidence)
