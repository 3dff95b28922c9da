"""Asks what a screen for poison finds, in the training data or in the model.

Northcutt et al. (2021), Koh and Liang (2017), Tran et al. (2018), Chen et al. (2018), Wang et al.
(2019): see hardgate/risks/poisoning. Clean data have some of everything, so each screen has a bound
of its own, above what clean data show.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import CORRELATION, RATE, AtMost, Question, QuestionGate
from hardgate.measurements import Screen


class PoisoningGate(QuestionGate):
    """What ``screen`` finds is at most ``bound``; of classes or sources, the worst is judged."""

    risk: ClassVar[str] = "poisoning"

    kind: Literal["poisoning"]
    screen: Screen
    bound: AtMost
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.screen}"

    def questions(self) -> tuple[Question, ...]:
        """Ask one screen."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.poisoning(self.screen),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
                # A difference between sources can be negative.
                domain=CORRELATION if self.screen == "source_disagreement" else RATE,
            ),
        )
