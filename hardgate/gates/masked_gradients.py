"""Asks whether attacks failed for want of a gradient rather than for want of a weakness.

Athalye, Carlini and Wagner (2018), "Obfuscated gradients give a false sense of security"; Carlini
et al. (2019), "On evaluating adversarial robustness"; Pintor et al. (2022), "Indicators of attack
failure".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, StringConstraints, model_validator

from hardgate import measurements
from hardgate.gates.questions import AtMost, Question, QuestionGate, gravest
from hardgate.measurements import SIGNS, Sign
from hardgate.records import Finding, Measurement

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=10)]


class MaskedGradientsGate(QuestionGate):
    """Every sign of masked gradients is at most ``bound``; the gravest is the finding.

    All signs are asked for, later ones too; where transfer from a surrogate was measured, so is
    whether it finds what no gradient attack does. One that means nothing for a model is named in
    ``not_asked`` with its reason, which the policy then shows for ever.
    """

    kind: Literal["masked_gradients"]
    bound: AtMost
    min_samples: PositiveInt
    not_asked: dict[Sign, Reason] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not set(SIGNS) - self.not_asked.keys():
            raise ValueError("not_asked: names every sign, so the gate would ask nothing")
        return self

    def questions(self) -> tuple[Question, ...]:
        """Ask for every sign that is not excused."""
        return tuple(
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.diagnostics(sign),
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
            )
            for sign in SIGNS
            if sign not in self.not_asked
        )

    def judge(self, evidence: Mapping[str, Measurement]) -> Finding:
        """Answer from all signs before any decides."""
        questions = self.questions()
        if measurements.TRANSFER_BEATS_WHITE_BOX in evidence:
            asked = replace(questions[0], name=measurements.TRANSFER_BEATS_WHITE_BOX)
            questions = (*questions, asked)
        return gravest([question.judge(evidence) for question in questions])
