"""Asks whether the model's own doubt tells where it is wrong.

Geifman and El-Yaniv (2017), "Selective classification for deep neural networks". A model that hands
doubtful cases to a person is worth as much as its doubt is.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtLeast, Question, QuestionGate


class SelectiveGate(QuestionGate):
    """Accuracy on the surest share ``coverage`` of the test inputs is at least ``bound``."""

    risk: ClassVar[str] = "uncertainty"

    kind: Literal["selective"]
    coverage: Annotated[float, Field(gt=0, lt=1)]
    bound: AtLeast
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.coverage:g}"

    def questions(self) -> tuple[Question, ...]:
        """Ask for accuracy at the coverage."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.selective_accuracy(self.coverage),
                end="lower",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )
