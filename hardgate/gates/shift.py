"""Asks whether the candidate survives a world that changes without an enemy, on tables.

Gardner, Popović and Schmidt (2023), "Benchmarking distribution shift in tabular data with
TableShift": what is good where it was trained may be poor elsewhere, so it is asked for itself.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import PositiveInt, model_validator

from hardgate import measurements
from hardgate.gates.questions import AtLeast, Question, QuestionGate
from hardgate.measurements import ShiftMetric


class ShiftGate(QuestionGate):
    """The metric under the worst of all natural shifts is at least ``bound``."""

    kind: Literal["shift"]
    metric: ShiftMetric
    bound: AtLeast
    min_samples: PositiveInt

    @model_validator(mode="after")
    def _is_better_than_chance(self) -> Self:
        if self.metric == "auc" and self.bound <= 0.5:
            raise ValueError(f"bound: an AUC of {self.bound:g} is no better than guessing")
        return self

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.metric}"

    def questions(self) -> tuple[Question, ...]:
        """Ask for the worst shift."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.worst_shift(self.metric),
                end="lower",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )
