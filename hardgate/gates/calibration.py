"""Asks whether a probability of the candidate means what it says.

Guo et al. (2017), "On calibration of modern neural networks".
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtMost, Question, QuestionGate


class CalibrationGate(QuestionGate):
    """Expected calibration error on clean inputs is at most ``bound``."""

    kind: Literal["calibration"]
    bound: AtMost
    min_samples: PositiveInt

    def questions(self) -> tuple[Question, ...]:
        """Ask for the calibration error."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.clean("ece"),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )
