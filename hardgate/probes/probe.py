"""What a probe is, what it gives back, and the question that most of them ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from hardgate import robustness
from hardgate.attacks import Attack
from hardgate.records import Measurement, Record, TableInput
from hardgate.subject import Subject

Kind = Literal[
    "clean",
    "attack",
    "sequential",
    "curve",
    "queries",
    "shifts",
    "diagnostics",
    "twin",
    "certification",
    "risk",
]


class Probe(Record):
    """One measurement to make: its kind, and which attack for attacks."""

    kind: Kind
    name: str


@dataclass(frozen=True)
class Found:
    """What one probe found: numbers, and for the clean probe and attacks what the model said."""

    measurements: dict[str, Measurement] = field(default_factory=dict)
    probabilities: Tensor | None = None  # (n, k) of the test split, or (m, k) of the attacked
    inputs: Tensor | None = None  # (m, ...), the worst inputs an attack found
    proven: Tensor | None = None  # (m,), bool, of the first attacked samples


def attacked_by(attack: Attack, subject: Subject, index: Tensor) -> robustness.Outcome:
    """Attack the test samples at ``index``."""
    inputs, labels = subject.shown(index)
    return robustness.measure(
        attack,
        subject.threat,
        subject.region,
        subject.model,
        inputs,
        labels,
        seed=subject.seed,
        batch_size=subject.batch_size,
        attack_all=isinstance(subject.spec, TableInput),  # for the AUC, which ranks all rows
    )
