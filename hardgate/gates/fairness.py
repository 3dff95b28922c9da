"""Asks whether groups of people are treated alike, also when inputs are manipulated.

Dwork et al. (2012), "Fairness through awareness"; Hardt, Price and Srebro (2016), "Equality of
opportunity in supervised learning"; Pleiss et al. (2017), "On fairness and calibration". An attack
can leave the average and still hit one group: Xu et al. (2021), "To be robust or to be fair".
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import PositiveInt, model_validator

from hardgate import measurements
from hardgate.gates.questions import AtMost, Question, QuestionGate
from hardgate.measurements import Difference, Situation


class FairnessGate(QuestionGate):
    """One difference between groups is at most ``bound``.

    ``column`` is a sensitive column, or several taken together: ``SEX x AGE``.
    """

    risk: ClassVar[str] = "fairness"

    kind: Literal["fairness"]
    column: str
    difference: Difference
    under_attack: bool
    bound: AtMost
    min_samples: PositiveInt

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if self.difference == "calibration" and self.under_attack:
            raise ValueError(
                "difference: an attack moves every probability away from its label, so calibration "
                "is asked of clean inputs; set under_attack to false, or ask for accuracy"
            )
        return self

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
