"""Asks whether the attacks find what is known to be there, before they are believed.

Carlini et al. (2019), "On evaluating adversarial robustness", arXiv:1902.06705: try an attack where
its success is known, before its failure says anything about a model.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import AtLeast, Question, QuestionGate


class KnownAnswersGate(QuestionGate):
    """Every attack reaches ``bound`` of a known optimum; those without gradients ``blind_bound``.

    Measured by :mod:`hardgate.known_answers`, for all attacks of the evaluation with the very
    settings that it gives them.
    """

    kind: Literal["known_answers"]
    bound: AtLeast
    blind_bound: AtLeast  # a search has its budget to lose, not its direction
    min_samples: PositiveInt

    def questions(self) -> tuple[Question, ...]:
        """Ask for the weakest attack of either kind."""
        asked = {"white-box": self.bound, "black-box": self.blind_bound}
        return tuple(
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.weakest_known_answer(access),
                end="lower",
                bound=bound,
                min_samples=self.min_samples,
            )
            for access, bound in asked.items()
        )
