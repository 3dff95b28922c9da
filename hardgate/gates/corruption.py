"""Asks whether the candidate survives bad weather, without an enemy.

Mu and Gilmer (2019), "MNIST-C: a robustness benchmark for computer vision": adversarial training
often makes this worse, so it is asked for itself.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtLeast, Question, QuestionGate


class CorruptionGate(QuestionGate):
    """Mean accuracy over all corruptions and severities is at least ``bound``."""

    kind: Literal["corruption"]
    bound: AtLeast
    min_samples: PositiveInt

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
