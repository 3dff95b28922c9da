"""Asks how much of the decision rests on what should not decide.

Datta, Sen and Zick (2016), "Algorithmic transparency via quantitative input influence"; a column
that tells the sensitive one stands in for it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtMost, Question, QuestionGate


class RelianceGate(QuestionGate):
    """At most ``bound`` of the decision rests on ``column`` and on columns that tell it."""

    risk: ClassVar[str] = "explainability"

    kind: Literal["reliance"]
    column: str
    bound: AtMost
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.column}"

    def questions(self) -> tuple[Question, ...]:
        """Ask for the share."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.reliance(self.column),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )
