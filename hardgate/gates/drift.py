"""Asks whether new data are still like those of training.

Rabanser, Günnemann and Lipton (2019), "Failing loudly: an empirical study of methods for detecting
dataset shift". An effect is judged and not a p-value, by the end of its interval that is further
from nothing: few rows fail for want of evidence, many rows do not fail for a trifle.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import PositiveInt, model_validator

from hardgate import measurements
from hardgate.gates.questions import AtMost, Question, QuestionGate

By = Literal["classifier", "columns", "classes"]
MEASURED: dict[By, str] = {
    "classifier": measurements.DRIFT_CLASSIFIER,
    "columns": measurements.DRIFT_LARGEST,
    "classes": measurements.DRIFT_CLASSES,
}


class DriftGate(QuestionGate):
    """New data differ from old ones by at most ``bound``."""

    risk: ClassVar[str] = "drift"

    kind: Literal["drift"]
    by: By
    bound: AtMost
    min_samples: PositiveInt

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.by == "classifier" and self.bound <= 0.5:
            raise ValueError(
                f"bound: an AUC of {self.bound:g} is asked for, and guessing alone has 0.5"
            )
        return self

    @property
    def label(self) -> str:
        """The question in one word."""
        return f"{self.kind}/{self.by}"

    def questions(self) -> tuple[Question, ...]:
        """Ask for one effect."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=MEASURED[self.by],
                end="upper",
                bound=self.bound,
                min_samples=self.min_samples,
            ),
        )
