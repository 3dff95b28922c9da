"""Asks whether the candidate stays right when somebody wants it to be wrong.

Madry et al. (2018), "Towards deep learning models resistant to adversarial attacks"; Croce and
Hein (2020), "Reliable evaluation of adversarial robustness with an ensemble of diverse
parameter-free attacks", for the worst case per sample.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtLeast, Question, QuestionGate


class RobustAccuracyGate(QuestionGate):
    """Robust accuracy under one attack, or under the worst of all, is at least ``bound``."""

    kind: Literal["robust_accuracy"]
    attack: str  # its name, or "worst_case"
    bound: AtLeast
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.attack}"

    def questions(self) -> tuple[Question, ...]:
        """Ask for the share of samples that no attack of that name flips."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.robust(self.attack, "accuracy"),
                end="lower",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )
