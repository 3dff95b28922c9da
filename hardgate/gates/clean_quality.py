"""Asks whether the candidate is good enough to be of use, and no worse than what it replaces.

The comparison is a non-inferiority test as in clinical trials (Piaggio et al. 2012, "Reporting of
noninferiority and equivalence randomized trials"): the cautious end of the candidate against the
champion less a margin. The margin therefore has to cover half the candidate's interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, Self

from pydantic import PositiveInt, model_validator

from hardgate import measurements
from hardgate.gates.questions import (
    RATE,
    AtLeast,
    Question,
    QuestionGate,
    believable,
    champion_exists,
)
from hardgate.records import Finding, Measurement, Rate


class CleanQualityGate(QuestionGate):
    """Quality on clean inputs is at least ``bound``, and the champion's less ``margin``.

    The absolute bound always applies, so the first model of its name has no special pass. Whether
    there is a champion must be in the evidence: not knowing is unmeasured.
    """

    kind: Literal["clean_quality"]
    metric: Literal["accuracy", "auc"]
    bound: AtLeast
    margin: Rate
    min_samples: PositiveInt

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.metric == "auc" and self.bound <= 0.5:
            raise ValueError(f"bound: an AUC of {self.bound:g} is no better than guessing")
        if 1 - self.margin <= self.bound < 1:
            raise ValueError(
                f"margin: {self.margin:g} switches the comparison off, for no champion less "
                f"{self.margin:g} lies above the bound {self.bound:g}"
            )
        return self

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.metric}"

    def questions(self) -> tuple[Question, ...]:
        """Ask for the absolute bound."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.clean(self.metric),
                end="lower",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )

    def judge(self, evidence: Mapping[str, Measurement]) -> Finding:
        """Judge by the higher of the bound and the champion's number less the margin."""
        (question,) = self.questions()
        exists, trouble = champion_exists(evidence)
        if exists is None:
            return question.unmeasured(trouble)
        if not exists:
            return question.judge(evidence)
        champion, trouble = believable(
            evidence,
            measurements.champion(self.metric),
            min_samples=self.min_samples,
            domain=RATE,
        )
        if champion is None:
            return question.unmeasured(trouble)
        return self._against(question, champion).judge(evidence)

    def _against(self, question: Question, champion: Measurement) -> Question:
        """Raise the bound to the champion's number less the margin, where that is higher."""
        least = champion.value - self.margin
        if least <= self.bound:
            return question
        return replace(
            question,
            bound=least,
            reason=f"the champion's {champion.value:.4g} less the margin {self.margin:g}",
        )
