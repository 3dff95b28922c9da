"""Asks whether the candidate bears bad weather no worse than without any defence.

Hendrycks and Dietterich (2019), "Benchmarking neural network robustness to common corruptions and
perturbations", arXiv:1903.12261, with the candidate's undefended twin as the baseline.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from hardgate import measurements
from hardgate.gates.questions import SIZE, Question, QuestionGate

# A twin that is right half of the time bounds the ratio by 2: a wider bound asks nothing.
Ratio = Annotated[float, Field(gt=0, le=2)]


class CorruptionErrorGate(QuestionGate):
    """Mean corruption error, relative to the undefended twin, is at most ``bound``."""

    kind: Literal["corruption_error"]
    bound: Ratio
    min_samples: PositiveInt

    def questions(self) -> tuple[Question, ...]:
        """Ask for the mean corruption error."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.CORRUPTION_MCE,
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
                domain=SIZE,
            ),
        )
