"""Asks for how many inputs it is proven that no attack within the threat exists.

Gowal et al. (2018), "On the effectiveness of interval bound propagation for training verifiably
robust models". Belongs in the policy of recipes that certify; without a proof it never passes.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtLeast, Question, QuestionGate


class CertifiedGate(QuestionGate):
    """Certified accuracy is at least ``bound``."""

    kind: Literal["certified"]
    bound: AtLeast
    min_samples: PositiveInt

    def questions(self) -> tuple[Question, ...]:
        """Ask for the share of samples proven correct."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.CERTIFIED_ACCURACY,
                end="lower",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )
