"""Asks whether the raw table holds names, addresses, cards or accounts.

Regulation (EU) 2016/679, article 5(1)(c), data minimisation: what a model is not to learn, and
nobody has to see, need not lie in its data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import SIZE, Question, QuestionGate, believable
from hardgate.records import Finding, Measurement


class PersonalDataGate(QuestionGate):
    """No column of the raw table holds personal data, and its columns were looked through."""

    risk: ClassVar[str] = "personal-data"

    kind: Literal["personal_data"]
    min_samples: PositiveInt  # rows

    def questions(self) -> tuple[Question, ...]:
        """Ask for no column; there is no bound to choose."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.COLUMNS_FOUND,
                end="upper",
                bound=0,
                min_samples=self.min_samples,
                domain=SIZE,
            ),
        )

    def judge(self, evidence: Mapping[str, Measurement]) -> Finding:
        """Judge, unless nothing was looked through; name the columns that hold something."""
        (question,) = self.questions()
        scanned, trouble = believable(
            evidence, measurements.COLUMNS_SCANNED, min_samples=self.min_samples, domain=SIZE
        )
        if scanned is None:
            return question.unmeasured(trouble)
        if not scanned.lower >= 1:
            return question.unmeasured("no column was looked through")
        return question.judge(evidence)
