"""Asks whether the reasons come from what was learned.

Adebayo et al. (2018), "Sanity checks for saliency maps".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import CORRELATION, AtMost, Question, QuestionGate


class ExplanationSanityGate(QuestionGate):
    """Attributions have a cosine of at most ``bound`` with those of random weights."""

    risk: ClassVar[str] = "explainability"

    kind: Literal["explanation_sanity"]
    bound: AtMost
    min_samples: PositiveInt

    def questions(self) -> tuple[Question, ...]:
        """Ask for the cosine with an untrained network's."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.explainability("untrained"),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
                domain=CORRELATION,
            ),
        )
