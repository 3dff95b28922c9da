"""Asks whether the newest training rows may be trained on.

Steinhardt, Koh and Liang (2017), "Certified defenses for data poisoning attacks". A slice that
contradicts all the others, leans to a class, or moves the model further than others do is not
trained on until somebody has looked at it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import CORRELATION, AtMost, Question, QuestionGate


class NewestSliceGate(QuestionGate):
    """The newest rows go beyond other slices of their size by at most ``bound``."""

    risk: ClassVar[str] = "newest_slice"

    kind: Literal["newest_slice"]
    by: Literal["contradiction", "lean", "influence"]
    bound: AtMost
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.by}"

    def questions(self) -> tuple[Question, ...]:
        """Ask for one of the three numbers."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.newest_slice(self.by),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
                domain=CORRELATION,
            ),
        )
