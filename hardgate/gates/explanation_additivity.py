"""Asks whether the explanations add up to what they explain.

Lundberg and Lee (2017), "A unified approach to interpreting model predictions": local accuracy.
An explainer that does not fit a layer breaks it quietly.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat, PositiveInt

from hardgate import measurements
from hardgate.gates.questions import SIZE, Question, QuestionGate


class ExplanationAdditivityGate(QuestionGate):
    """The additivity error of the SHAP values is at most ``bound``."""

    kind: Literal["explanation_additivity"]
    bound: PositiveFloat  # in the unit of the measurement
    min_samples: PositiveInt

    def questions(self) -> tuple[Question, ...]:
        """Ask for the gap between summed attributions and output."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.explanation("additivity_error"),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
                domain=SIZE,
            ),
        )
