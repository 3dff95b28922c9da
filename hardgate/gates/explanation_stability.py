"""Asks whether the same decision keeps the same reasons.

Alvarez-Melis and Jaakkola (2018), "On the robustness of interpretability methods"; Ghorbani et al.
(2019), "Interpretation of neural networks is fragile".
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import CORRELATION, AtLeast, Question, QuestionGate
from hardgate.measurements import Property


class ExplanationStabilityGate(QuestionGate):
    """Attributions before and after a small change correlate in rank by at least ``bound``."""

    kind: Literal["explanation_stability"]
    under: Literal["noise", "attack"]
    bound: AtLeast
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.under}"

    @property
    def _measured(self) -> Property:
        return "rank_stability_noise" if self.under == "noise" else "rank_stability_attack"

    def questions(self) -> tuple[Question, ...]:
        """Ask for the rank stability."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.explanation(self._measured),
                end="lower",
                bound=self.bound,
                min_samples=self.min_samples,
                domain=CORRELATION,
            ),
        )
