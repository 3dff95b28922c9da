"""Asks whether a known fault of an installed package is left, by advisories that are not too old.

Alfadel, Costa and Shihab (2023), "Empirical analysis of security vulnerabilities in Python
packages": most are found years after they came, and fixed soon after. So what was clean last year
says little, and the age of what is known is asked as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from hardgate import measurements
from hardgate.gates.questions import SIZE, Question, QuestionGate, gravest
from hardgate.records import Finding, Measurement
from hardgate.supply_chain.severity import Severity

OLDEST = 3650  # days; a bound of more would ask nothing
UPDATE = "a newer snapshot comes by hardgate doctor --update"


class AdvisoriesGate(QuestionGate):
    """No advisory of ``severity`` or graver is known, of ``min_samples`` packages or more.

    The snapshot is at most ``max_days`` old. One from the future is none: then a clock is wrong.
    """

    risk: ClassVar[str] = "supply-chain"

    kind: Literal["advisories"]
    severity: Severity
    max_days: Annotated[int, Field(ge=1, le=OLDEST)]
    min_samples: PositiveInt

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.severity}"

    def questions(self) -> tuple[Question, ...]:
        """Ask for no advisory, and for the age of what is known."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.advisories(self.severity),
                end="upper",
                bound=0,
                min_samples=self.min_samples,
                domain=SIZE,
            ),
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.SNAPSHOT_AGE,
                end="upper",
                bound=self.max_days,
                min_samples=self.min_samples,
                domain=SIZE,
                reason=UPDATE,
            ),
        )

    def judge(self, evidence: Mapping[str, Measurement]) -> Finding:
        """Answer with the graver of the two; of two that pass, the advisories speak."""
        findings = [question.judge(evidence) for question in self.questions()]
        worst = gravest(findings)
        return findings[0] if worst.verdict is findings[0].verdict else worst
