"""Asks whether the data kept its contract.

Breck et al. (2019), "Data validation for machine learning".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import SIZE, Question, QuestionGate, believable
from hardgate.records import Finding, Measurement


class DataContractGate(QuestionGate):
    """The data kept every expectation of its suite, and the suite had some."""

    kind: Literal["data_contract"]
    min_samples: PositiveInt

    def questions(self) -> tuple[Question, ...]:
        """Ask for no broken expectation; there is no bound to choose."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.EXPECTATIONS_FAILED,
                end="upper",
                bound=0,
                min_samples=self.min_samples,
                domain=SIZE,
            ),
        )

    def judge(self, evidence: Mapping[str, Measurement]) -> Finding:
        """Judge, unless the suite is empty: nothing asked is nothing held."""
        (question,) = self.questions()
        expectations, trouble = believable(
            evidence, measurements.EXPECTATIONS, min_samples=self.min_samples, domain=SIZE
        )
        if expectations is None:
            return question.unmeasured(trouble)
        if expectations.lower >= 1:
            return question.judge(evidence)
        return question.unmeasured(f"{measurements.EXPECTATIONS} is 0: the suite asks nothing")
