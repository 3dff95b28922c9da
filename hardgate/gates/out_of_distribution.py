"""Asks whether inputs that do not belong can be told from those that do.

Hendrycks and Gimpel (2017), "A baseline for detecting misclassified and out-of-distribution
examples in neural networks". A classifier answers whatever it is shown, so something must say that
an input is none of its own.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import BetterThanChance, Question, QuestionGate


class OutOfDistributionGate(QuestionGate):
    """The AUROC of one score for the kind that it tells apart worst is at least ``bound``."""

    risk: ClassVar[str] = "uncertainty"

    kind: Literal["out_of_distribution"]
    score: str
    bound: BetterThanChance
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.score}"

    def questions(self) -> tuple[Question, ...]:
        """Ask for the worst kind."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.told_apart(self.score, "worst"),
                end="lower",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )
