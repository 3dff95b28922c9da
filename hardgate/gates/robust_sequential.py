"""Asks what robust accuracy asks, of a test that stopped as soon as the answer was sure.

Waudby-Smith and Ramdas (2020), "Confidence sequences for sampling without replacement",
arXiv:2006.04347, for the test; alpha spending, so that a model which is retrained and asked again
and again does not pass by luck, after Foster and Stine (2008), "Alpha-investing".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from hardgate import measurements, sequential
from hardgate.gates.questions import SIZE, AtLeast, Question, QuestionGate, believable, gravest
from hardgate.records import Finding, Measurement


class RobustSequentialGate(QuestionGate):
    """A sequential test is sure that report mode would find ``bound`` under an attack.

    ``alpha`` is the error rate of all attempts together: the n-th version of a model must be tested
    at :func:`hardgate.sequential.spend` of it, and the evidence must count the versions before it.
    """

    kind: Literal["robust_sequential"]
    attack: str  # the cascade's name
    bound: AtLeast
    alpha: Annotated[float, Field(gt=0, lt=1)]
    min_samples: PositiveInt  # that the question is about, not those it took to answer it

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.attack}"

    def questions(self) -> tuple[Question, ...]:
        """Ask whether the bound is reached, and at which error rate that is sure."""
        reached = Question(
            kind=self.kind,
            label=self.label,
            name=measurements.reaches(self.attack, self.bound),
            end="lower",
            bound=1.0,
            min_samples=self.min_samples,
        )
        name = measurements.error_rate(self.attack)
        at_most = sequential.spend(self.alpha, 1)
        sure = replace(reached, name=name, end="upper", bound=at_most)
        return reached, sure

    def judge(self, evidence: Mapping[str, Measurement]) -> Finding:
        """Answer from both; the error rate that is allowed falls with every version."""
        reached, sure = self.questions()
        earlier, trouble = believable(
            evidence, measurements.VERSIONS_BEFORE, min_samples=1, domain=SIZE
        )
        if earlier is None:
            return reached.unmeasured(trouble)
        attempt = int(earlier.upper) + 1
        spent = replace(
            sure,
            bound=sequential.spend(self.alpha, attempt),
            reason=f"what version {attempt} may spend of {self.alpha:g}",
        )
        return gravest([reached.judge(evidence), spent.judge(evidence)])
