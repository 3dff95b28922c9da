"""Asks how many people stand out in the table by what others may know of them.

Sweeney (2002), "k-anonymity: a model for protecting privacy"; Machanavajjhala et al. (2007),
"l-diversity: privacy beyond k-anonymity".
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtMost, Question, QuestionGate
from hardgate.measurements import AnonymityProperty


class AnonymityGate(QuestionGate):
    """At most a share ``bound`` of rows is in classes of fewer than ``wanted`` rows, or labels."""

    risk: ClassVar[str] = "personal-data"

    kind: Literal["anonymity"]
    of: AnonymityProperty
    wanted: Annotated[int, Field(ge=2)]  # k or l, as the risk measures it
    bound: AtMost
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.of}/{self.wanted}"

    def questions(self) -> tuple[Question, ...]:
        """Ask for the share of rows that stand out."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.below(self.of, self.wanted),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )
