"""Asks how well somebody could tell who was trained on.

Carlini et al. (2022), "Membership inference attacks from first principles", arXiv:2112.03570. The
strongest of the attacks decides: an attacker takes the one that works.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtMost, Question, QuestionGate
from hardgate.measurements import MEMBERSHIPS, Leak


class MembershipGate(QuestionGate):
    """No attack tells rows trained on from others better than ``bound``."""

    risk: ClassVar[str] = "privacy"

    kind: Literal["membership"]
    metric: Leak
    bound: AtMost
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.metric}"

    def questions(self) -> tuple[Question, ...]:
        """Ask about every attack."""
        return tuple(
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.membership(attack, self.metric),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
            )
            for attack in MEMBERSHIPS
        )
