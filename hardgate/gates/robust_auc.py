"""Asks whether the candidate still ranks the risky above the safe when inputs are manipulated.

For unbalanced classes, where always giving the common answer is accurate and robust and useless.
Simonetto, Ghamizi and Cordy (2024), "Constrained adaptive attack", for how such scores fall.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import BetterThanChance, Question, QuestionGate


class RobustAucGate(QuestionGate):
    """AUC under one attack, or under the worst of all, is at least ``bound``."""

    kind: Literal["robust_auc"]
    attack: str  # its name, or "worst_case"
    bound: BetterThanChance
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.attack}"

    def questions(self) -> tuple[Question, ...]:
        """Ask for the area under the curve of the attacked scores."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.robust(self.attack, "auc"),
                end="lower",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )
