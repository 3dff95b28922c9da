"""Asks how much of the test split was set aside.

Rows that are wrong for the model are hard for the model, too: whoever may set rows aside could
choose those that it gets wrong, and every other gate would then judge a test without them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtMost, Question, QuestionGate


class QuarantineGate(QuestionGate):
    """At most ``bound`` of the test split was set aside by quarantine."""

    kind: Literal["quarantine"]
    bound: AtMost
    min_samples: PositiveInt

    def questions(self) -> tuple[Question, ...]:
        """Ask for the share of the test split that is missing."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.QUARANTINED_TEST,
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )
