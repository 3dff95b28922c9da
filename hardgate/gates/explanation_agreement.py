"""Asks whether the reasons are the model's, and not those of one draw or one training.

Fel et al. (2022), "How good is your explanation?".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import CORRELATION, AtLeast, Question, QuestionGate


class ExplanationAgreementGate(QuestionGate):
    """Attributions of two backgrounds, or of two trainings, have a cosine of ``bound`` or more."""

    risk: ClassVar[str] = "explainability"

    kind: Literal["explanation_agreement"]
    between: Literal["seeds", "retrains"]
    bound: AtLeast
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.between}"

    def questions(self) -> tuple[Question, ...]:
        """Ask for the cosine."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.explainability(self.between),
                end="lower",
                bound=self.bound,
                min_samples=self.min_samples,
                domain=CORRELATION,
            ),
        )
