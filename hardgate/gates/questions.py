"""What every gate does with a measurement: check that it can be believed, then compare one end.

What is missing, broken, outside its domain or made of too few samples is unmeasured. Only then is
the cautious end of the interval compared, as ``lower >= bound`` or ``upper <= bound`` and never
their negation: ordering against NaN is false, so only this form refuses it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from hardgate.errors import ContractError
from hardgate.measurements import CHAMPION_EXISTS
from hardgate.records import Finding, Measurement, Record, Verdict

# A bound that every rate keeps would switch its gate off, so it cannot be written.
AtLeast = Annotated[float, Field(gt=0, le=1)]
AtMost = Annotated[float, Field(ge=0, lt=1)]
BetterThanChance = Annotated[float, Field(gt=0.5, le=1)]  # for an AUC

RATE = (0.0, 1.0)
CORRELATION = (-1.0, 1.0)
SIZE = (0.0, math.inf)  # a count or an error


@dataclass(frozen=True, kw_only=True)
class Question:
    """One measurement, one end of its interval, one bound."""

    kind: str  # of the gate that asks
    label: str  # of the finding: the kind, and what it was asked of
    name: str  # of the measurement
    end: Literal["lower", "upper"]  # "lower" must reach the bound, "upper" must not exceed it
    bound: float
    min_samples: int
    domain: tuple[float, float] = RATE
    reason: str = ""  # where a bound comes from that params.yaml does not hold

    @property
    def condition(self) -> str:
        """The condition for passing, in words."""
        relation = "at least" if self.end == "lower" else "at most"
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.end} end {relation} {self.bound:g}{reason}"

    def judge(self, evidence: Mapping[str, Measurement]) -> Finding:
        """Answer from evidence; what cannot be seen has not passed."""
        measured, trouble = believable(
            evidence, self.name, min_samples=self.min_samples, domain=self.domain
        )
        if measured is None:
            return self.unmeasured(trouble)
        held = measured.lower >= self.bound if self.end == "lower" else measured.upper <= self.bound
        return self._finding(
            Verdict.PASSED if held else Verdict.FAILED,
            f"{self.name} is {measured.value:.4g} (95 % interval {measured.lower:.4g} to "
            f"{measured.upper:.4g}, {measured.samples} samples)",
            measured,
        )

    def unmeasured(self, trouble: str) -> Finding:
        """Say why the question has no answer."""
        return self._finding(Verdict.UNMEASURED, trouble, None)

    def _finding(self, verdict: Verdict, found: str, observed: Measurement | None) -> Finding:
        return Finding(
            gate=self.label,
            verdict=verdict,
            observed=observed,
            bound=self.bound,
            condition=self.condition,
            message=f"{verdict.value}: {found}; to pass: {self.condition}, on {self.min_samples} "
            f"samples or more. See docs/gates.md, {paragraph(self.kind)}",
        )


def believable(
    evidence: Mapping[str, Measurement],
    name: str,
    *,
    min_samples: int,
    domain: tuple[float, float],
) -> tuple[Measurement | None, str]:
    """Give the measurement, or nothing and why it cannot be believed.

    Records check themselves when they are made, but pydantic lets trusted code skip that, so it is
    done again here: this is the last place before a verdict.
    """
    found = evidence.get(name)
    if found is None:
        return None, f"the evidence holds no {name}"
    try:
        measured = Measurement.model_validate(found.model_dump(warnings=False))
    except ValidationError:
        return None, f"{name} is not a finite number within its interval"
    if not domain[0] <= measured.lower <= measured.upper <= domain[1]:
        return None, (
            f"{name} runs from {measured.lower:g} to {measured.upper:g}, "
            f"but can only lie between {domain[0]:g} and {domain[1]:g}"
        )
    if measured.samples < min_samples:
        return None, f"{name} stands on {measured.samples} samples, {min_samples} are needed"
    return measured, ""


def champion_exists(evidence: Mapping[str, Measurement]) -> tuple[bool | None, str]:
    """Tell whether there is a champion, or nothing and why the evidence does not say so."""
    exists, trouble = believable(evidence, CHAMPION_EXISTS, min_samples=1, domain=RATE)
    if exists is None:
        return None, trouble
    if exists.lower == exists.upper and exists.value in (0, 1):
        return bool(exists.value), ""
    return None, f"{CHAMPION_EXISTS} is neither 0 nor 1"


def gravest(findings: Sequence[Finding]) -> Finding:
    """Pick the finding that decides when a gate looks at several measurements.

    A failure says more than a gap, so it comes first; among equals, the largest value.
    """
    if not findings:
        raise ContractError("a gate must ask something")
    order = [Verdict.FAILED, Verdict.UNMEASURED, Verdict.PASSED]
    return min(
        findings,
        key=lambda finding: (
            order.index(finding.verdict),
            -(finding.observed.upper if finding.observed else 0.0),
        ),
    )


def paragraph(kind: str) -> str:
    """Name a gate's paragraph in docs/gates.md: ``robust_accuracy`` has "Robust accuracy"."""
    return kind.replace("_", " ").capitalize().replace(" auc", " AUC")


class QuestionGate(Record, ABC):
    """A gate whose label is its kind, and whose gravest question decides, unless it says more."""

    kind: str

    @property
    def label(self) -> str:
        """The question in one word."""
        return self.kind

    @abstractmethod
    def questions(self) -> tuple[Question, ...]:
        """List what is asked of the evidence."""

    def judge(self, evidence: Mapping[str, Measurement]) -> Finding:
        """Answer from evidence: all questions are asked before any decides."""
        return gravest([question.judge(evidence) for question in self.questions()])
