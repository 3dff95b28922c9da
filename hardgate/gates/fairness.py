"""Asks whether groups of people are treated alike, also when inputs are manipulated.

Dwork et al. (2012), "Fairness through awareness"; Hardt, Price and Srebro (2016), "Equality of
opportunity in supervised learning". An attack can leave the average and still hit one group.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtMost, Question
from hardgate.measurements import Difference, Situation
from hardgate.records import Finding, Measurement, Record


class FairnessGate(Record):
    """One difference between the groups of one sensitive column is at most ``bound``."""

    kind: Literal["fairness"]
    column: str
    difference: Difference
    under_attack: bool
    bound: AtMost
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.column}/{self._situation}/{self.difference}"

    @property
    def _situation(self) -> Situation:
        return "under_attack" if self.under_attack else "clean"

    def questions(self) -> tuple[Question, ...]:
        """Ask for the difference."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.difference(self.column, self._situation, self.difference),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )

    def judge(self, evidence: Mapping[str, Measurement]) -> Finding:
        """Answer from evidence."""
        (question,) = self.questions()
        return question.judge(evidence)
