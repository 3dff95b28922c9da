"""What every probe stands on, what it gives back, and the two questions that most of them ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from hardgate import robustness, samples
from hardgate.attacks import Attack
from hardgate.probes.section import Evaluation
from hardgate.records import InputSpec, Measurement, Record, TableInput
from hardgate.region import Region
from hardgate.samples import Samples
from hardgate.threat import Threat

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
]


class Probe(Record):
    """One measurement to make: its kind, and which attack for attacks."""

    kind: Kind
    name: str


@dataclass(frozen=True)
class Subject:
    """What every probe stands on; ``attacked`` holds positions in the test split."""

    model: nn.Module
    spec: InputSpec
    threat: Threat
    region: Region
    train: Samples
    held_out: Samples
    test: Samples
    attacked: Tensor
    device: torch.device
    seed: int

    def shown(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Give the test inputs at ``index`` as floats, and their labels, on the model's device."""
        chosen = self.test.take(index)
        return chosen.floats().to(self.device), chosen.labels.to(self.device)


@dataclass(frozen=True)
class Found:
    """What one probe found: numbers, and for the clean probe and attacks what the model said."""

    measurements: dict[str, Measurement] = field(default_factory=dict)
    probabilities: Tensor | None = None  # (n, k) of the test split, or (m, k) of the attacked
    inputs: Tensor | None = None  # (m, ...), the worst inputs an attack found
    proven: Tensor | None = None  # (m,), bool, of the first attacked samples


def choose(test: Samples, count: int, *, seed: int) -> Tensor:
    """Draw which test samples are attacked: rising positions, all when there are fewer."""
    order = np.random.default_rng(seed).permutation(len(test))[:count]
    return torch.from_numpy(np.sort(order))


def predict(section: Evaluation, subject: Subject, inputs: Tensor) -> Tensor:
    """Give probabilities, shape ``(n, k)``; uint8 images are scaled batch by batch."""
    with torch.no_grad():
        logits = [
            subject.model(samples.as_floats(batch).to(subject.device)).cpu()
            for batch in torch.split(inputs, section.batch_size)
        ]
    return torch.softmax(torch.cat(logits), dim=1)


def attacked_by(
    attack: Attack, section: Evaluation, subject: Subject, index: Tensor
) -> robustness.Outcome:
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
        batch_size=section.batch_size,
        attack_all=isinstance(subject.spec, TableInput),  # for the AUC, which ranks all rows
    )
