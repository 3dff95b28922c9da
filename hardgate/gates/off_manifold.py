"""Asks whether the model weighs columns alike on rows and on mixtures that explainers ask about.

Slack et al. (2020), "Fooling LIME and SHAP: adversarial attacks on post hoc explanation methods".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtMost, Question, QuestionGate


class OffManifoldGate(QuestionGate):
    """No column's share of weight differs by more than ``bound`` between rows and mixtures."""

    risk: ClassVar[str] = "explainability"

    kind: Literal["off_manifold"]
    bound: AtMost
    min_samples: PositiveInt

    def questions(self) -> tuple[Question, ...]:
        """Ask for the largest difference."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.explainability("off_manifold"),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )
