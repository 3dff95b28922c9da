"""Asks how many samples the champion gets right and the candidate gets wrong.

Yan, S. et al. (2021), "Positive-congruent training: towards regression-free model updates",
arXiv:2011.09161; under attack: Angioni, D. et al. (2024), "Robustness-congruent adversarial
training for secure machine learning model updates", arXiv:2402.17390.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtMost, Question, QuestionGate, champion_exists
from hardgate.measurements import Situation
from hardgate.records import Finding, Measurement


class NegativeFlipsGate(QuestionGate):
    """The share of samples that flip from right to wrong is at most ``bound``.

    A better average can hide them. Whether there is a champion must be in the evidence, and so
    must the share itself, which is exactly 0 when there is none.
    """

    kind: Literal["negative_flips"]
    under_attack: bool
    bound: AtMost
    min_samples: PositiveInt

    @property
    def situation(self) -> Situation:
        """Which inputs are compared."""
        return "under_attack" if self.under_attack else "clean"

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.situation}"

    def questions(self) -> tuple[Question, ...]:
        """Ask for the share."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.negative_flips(self.situation),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )

    def judge(self, evidence: Mapping[str, Measurement]) -> Finding:
        """Judge the share, once it is known against whom it was counted."""
        (question,) = self.questions()
        exists, trouble = champion_exists(evidence)
        if exists is None:
            return question.unmeasured(trouble)
        return question.judge(evidence)
