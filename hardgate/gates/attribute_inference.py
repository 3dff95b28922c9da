"""Asks how much the model helps to guess a sensitive cell of a row that it was trained on.

Jayaraman and Evans (2022), "Are attribute inference attacks just imputation?", arXiv:2209.01292.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import CORRELATION, AtMost, Question, QuestionGate
from hardgate.measurements import INFERENCES


class AttributeInferenceGate(QuestionGate):
    """The model adds at most ``bound`` to the share of cells of ``column`` guessed right."""

    risk: ClassVar[str] = "privacy"

    kind: Literal["attribute_inference"]
    column: str
    bound: AtMost
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.column}"

    def questions(self) -> tuple[Question, ...]:
        """Ask about every attack."""
        return tuple(
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.attribute_gain(self.column, attack),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
                domain=CORRELATION,
            )
            for attack in INFERENCES
        )
