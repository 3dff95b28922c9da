"""Asks whether any file of the registered model could do harm.

Casey et al. (2025), "A large-scale exploit instrumentation study of AI/ML supply chain attacks in
Hugging Face models": formats that run code when they are read are the common way in.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from hardgate import measurements
from hardgate.gates.questions import SIZE, Question, QuestionGate


class ArtifactSafetyGate(QuestionGate):
    """No file of the model is refused, and there were ``min_samples`` files to look at."""

    risk: ClassVar[str] = "supply-chain"

    kind: Literal["artifact_safety"]
    min_samples: PositiveInt

    def questions(self) -> tuple[Question, ...]:
        """Ask for no refused file; there is no bound to choose."""
        return (
            Question(
                kind=self.kind,
                label=self.label,
                name=measurements.UNSAFE_FILES,
                end="upper",
                bound=0,
                min_samples=self.min_samples,
                domain=SIZE,
            ),
        )
