"""Asks how well a stolen copy would stand in for the model.

Jagielski et al. (2020), "High accuracy and high fidelity extraction of neural networks". A faithful
copy is asked in the attacker's own house, as often as he likes, until an attack on it is found.
What anybody reaches who trains on the same inputs and their labels is not the model's to keep, so
what the answers add to that is judged.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import CORRELATION, AtMost, Question, QuestionGate


class ExtractionGate(QuestionGate):
    """``queries`` answers bring a copy at most ``bound`` nearer to the model than labels would."""

    risk: ClassVar[str] = "extraction"

    kind: Literal["extraction"]
    outputs: Literal["labels", "rounded", "scores"]
    queries: PositiveInt
    bound: AtMost
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.outputs}/{self.queries}"

    def questions(self) -> tuple[Question, ...]:
        """Ask what the answers add to a copy that could be made without them."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.extraction_gain(self.outputs, self.queries),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
                domain=CORRELATION,
            ),
        )
