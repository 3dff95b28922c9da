"""Asks whether what runs is what was locked, and nobody is told of it.

Ladisa et al. (2023), "SoK: Taxonomy of attacks on open-source software supply chains": a package
that stands in the place of another needs no fault in it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import SIZE, Question, QuestionGate

ASKED = (
    measurements.SHADOWED,
    measurements.OTHER_VERSION,
    measurements.NOT_LOCKED,
    measurements.TELEMETRY,
)
DOCTOR = "hardgate doctor names them"


class InstallationGate(QuestionGate):
    """Nothing installed is shadowed, other than locked, unlocked, or reports on its users."""

    risk: ClassVar[str] = "supply-chain"

    kind: Literal["installation"]
    min_samples: PositiveInt

    def questions(self) -> tuple[Question, ...]:
        """Ask for none of each; there is no bound to choose."""
        return tuple(
            Question(
                kind=self.kind,
                label=self.label,
                name=name,
                end="upper",
                bound=0,
                min_samples=self.min_samples,
                domain=SIZE,
                reason=DOCTOR,
            )
            for name in ASKED
        )
