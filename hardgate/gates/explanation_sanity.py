"""Asks whether the reasons come from what was learned.

Adebayo et al. (2018), "Sanity checks for saliency maps".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import CORRELATION, AtMost, Question
from hardgate.records import Finding, Measurement, Record


class ExplanationSanityGate(Record):
    """Attributions have a cosine of at most ``bound`` with those of random weights."""

    risk: ClassVar[str] = "explainability"

    kind: Literal["explanation_sanity"]
    bound: AtMost
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return self.kind

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

    def judge(self, evidence: Mapping[str, Measurement]) -> Finding:
        """Answer from evidence."""
        (question,) = self.questions()
        return question.judge(evidence)
