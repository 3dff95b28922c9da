"""Asks whether the model is still good enough on new data whose labels nobody knows yet.

Garg et al. (2022), "Leveraging unlabeled data to predict out-of-distribution performance". Where
the new data do have labels, the lower of estimate and truth is judged.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtLeast, Question, QuestionGate


class EstimatedQualityGate(QuestionGate):
    """Accuracy on new data is at least ``bound``."""

    risk: ClassVar[str] = "drift"

    kind: Literal["estimated_quality"]
    bound: AtLeast
    min_samples: PositiveInt

    def questions(self) -> tuple[Question, ...]:
        """Ask for the accuracy on new data."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.ACCURACY_NEW,
                end="lower",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )
