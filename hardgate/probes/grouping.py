"""Groups of people held together, on clean inputs and under attack.

A whole evaluation looks at the worst that any of its attacks did to each sample. Alone, the first
gradient attack has to do: it takes seconds, and is the one that leaves least in most runs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hardgate import diagnostics, fairness
from hardgate.evidence.outcomes import Outcomes
from hardgate.probes.probe import attacked_by
from hardgate.probes.section import Evaluation
from hardgate.records import Measurement, TableInput
from hardgate.subject import Subject

Labels = NDArray[np.int64]


def grouped(
    section: Evaluation, subject: Subject, gathered: Outcomes, clean: Tensor
) -> dict[str, Measurement]:
    """Compare groups on clean inputs, and under the attack that leaves each sample the least.

    ``clean`` holds the probabilities of all test samples, shape ``(n, k)``.
    """
    attacked = subject.attacked.numpy()
    worst = _worst(gathered)[attacked] if gathered.attacks else None  # gate mode keeps none
    return _compare(section, subject, clean, worst)


def alone(section: Evaluation, subject: Subject) -> dict[str, Measurement]:
    """Compare groups without the rest of an evaluation, under its first gradient attack."""
    attack = diagnostics.gradient_attack(section.attacks)
    attacked = attacked_by(attack, subject, subject.attacked).probabilities
    clean = subject.predict(subject.test.inputs)
    return _compare(section, subject, clean, attacked.argmax(1).numpy())


def _compare(
    section: Evaluation, subject: Subject, clean: Tensor, worst: Labels | None
) -> dict[str, Measurement]:
    spec = subject.spec
    if section.fairness is None or not isinstance(spec, TableInput):
        return {}
    inputs, labels = subject.test.floats().numpy(), subject.test.labels.numpy()
    attacked = subject.attacked.numpy()
    found = fairness.measure(
        section.fairness,
        spec,
        inputs,
        labels=labels,
        predictions=clean.argmax(1).numpy(),
        probabilities=clean.numpy(),
        situation="clean",
        seed=subject.seed,
    )
    if worst is None:
        return found
    return found | fairness.measure(
        section.fairness,
        spec,
        inputs[attacked],
        labels=labels[attacked],
        predictions=worst,
        situation="under_attack",
        seed=subject.seed,
    )


def _worst(gathered: Outcomes) -> Labels:
    """Give each sample's prediction under the attack that did it most harm: a flip, if any did."""
    attacks = list(gathered.attacks.values())
    predictions = np.stack([attack.predictions for attack in attacks])
    right = predictions == gathered.labels
    left = right + np.stack([attack.probabilities for attack in attacks])
    worst: Labels = predictions[left.argmin(axis=0), np.arange(predictions.shape[1])]
    return worst
