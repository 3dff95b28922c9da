"""Asks how much training may have told of any one row.

Dwork, McSherry, Nissim and Smith (2006), "Calibrating noise to sensitivity in private data
analysis"; Abadi et al. (2016), "Deep learning with differential privacy". Only a recipe that is
private has the measurement, so any other model is unmeasured and does not pass.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from hardgate import measurements
from hardgate.gates.questions import SIZE, Question, QuestionGate


class PrivacyBudgetGate(QuestionGate):
    """Epsilon is at most ``bound``, at a delta of at most ``delta``."""

    kind: Literal["privacy_budget"]
    bound: PositiveFloat
    delta: Annotated[float, Field(gt=0, lt=1)]
    min_samples: PositiveInt  # rows trained on

    def questions(self) -> tuple[Question, ...]:
        """Ask for epsilon, and for the chance in which it may not hold."""
        epsilon = Question(
            kind=self.kind,
            label=self.label,
            name=measurements.EPSILON,
            end="upper",
            bound=self.bound,
            min_samples=self.min_samples,
            domain=SIZE,
            reason=f"at a delta of at most {self.delta:g}",
        )
        return epsilon, replace(
            epsilon,
            name=measurements.DELTA,
            bound=self.delta,
            domain=(0.0, 1.0),
            reason="the delta of the budget",
        )
