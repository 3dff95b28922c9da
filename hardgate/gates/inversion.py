"""Asks whether images inverted from the model lie nearer to those it was trained on.

Fredrikson et al. (2015), "Model inversion attacks that exploit confidence information and basic
countermeasures".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtMost, Question, QuestionGate
from hardgate.measurements import Leak


class InversionGate(QuestionGate):
    """Nearness to inverted images tells images trained on from others no better than ``bound``."""

    risk: ClassVar[str] = "privacy"

    kind: Literal["inversion"]
    metric: Leak
    bound: AtMost
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.metric}"

    def questions(self) -> tuple[Question, ...]:
        """Ask about nearness."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.inversion(self.metric),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )
