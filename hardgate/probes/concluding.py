"""What follows from all probes together: outcomes per sample, and numbers over all of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hardgate import fairness
from hardgate.certification import proofs
from hardgate.evidence import outcomes, recomputation
from hardgate.evidence.outcomes import Outcomes
from hardgate.probes.probe import Found
from hardgate.probes.section import Evaluation
from hardgate.records import Measurement, TableInput
from hardgate.subject import Subject

CLEAN = "clean"
CERTIFICATION = "certification"


def gather(subject: Subject, found: Mapping[str, Found]) -> Outcomes:
    """Put together what the model said to every test sample, clean and under each attack."""
    labels = subject.test.labels.numpy()
    known = np.zeros(len(labels), bool)
    known[subject.attacked.numpy()] = True
    attacks = {
        name: _answers(part.inputs, part.probabilities, labels, known)
        for name, part in sorted(found.items())
        if part.inputs is not None and part.probabilities is not None
    }
    everything = np.ones(len(labels), bool)
    clean = found[CLEAN].probabilities
    return Outcomes(
        index=np.arange(len(labels), dtype=np.int64),
        rows=subject.test.rows.numpy(),
        labels=labels,
        clean=_answers(subject.test.floats(), clean, labels, everything),
        attacks=attacks,
    )


def conclude(
    section: Evaluation, subject: Subject, gathered: Outcomes, found: Mapping[str, Found]
) -> dict[str, Measurement]:
    """Count over all probes.

    The outcomes have the last word on every number that can be made again from them.

    Raises
    ------
    IntegrityError
        If an attack breaks a sample that is certified.
    """
    if CERTIFICATION in found and (proven := found[CERTIFICATION].proven) is not None:
        proofs.confront(proven, subject.attacked[: len(proven)], gathered)
    measured = {name: value for part in found.values() for name, value in part.measurements.items()}
    classes = len(subject.spec.classes)
    measured |= recomputation.recompute(gathered, classes=classes)
    return measured | _fairness(section, subject, gathered)


def _answers(
    inputs: Tensor,
    probabilities: Tensor | None,
    labels: NDArray[np.int64],
    known: NDArray[np.bool_],
) -> outcomes.Answers:
    said = np.zeros((0, 0), np.float32) if probabilities is None else probabilities.numpy()
    return outcomes.answers(
        inputs.numpy(),
        predictions=said.argmax(axis=1),
        probabilities=said,
        labels=labels,
        known=known,
    )


def _fairness(section: Evaluation, subject: Subject, gathered: Outcomes) -> dict[str, Measurement]:
    """Compare groups on clean inputs, and under the attack that leaves each sample the least."""
    spec = subject.spec
    if section.fairness is None or not isinstance(spec, TableInput):
        return {}
    inputs, attacked = subject.test.floats().numpy(), subject.attacked.numpy()
    found = fairness.measure(
        section.fairness,
        spec,
        inputs,
        labels=gathered.labels,
        predictions=gathered.clean.predictions,
        situation="clean",
        seed=subject.seed,
    )
    if not gathered.attacks:  # gate mode keeps no outcomes
        return found
    return found | fairness.measure(
        section.fairness,
        spec,
        inputs[attacked],
        labels=gathered.labels[attacked],
        predictions=_worst(gathered)[attacked],
        situation="under_attack",
        seed=subject.seed,
    )


def _worst(gathered: Outcomes) -> NDArray[np.int64]:
    """Give each sample's prediction under the attack that did it most harm: a flip, if any did."""
    attacks = list(gathered.attacks.values())
    predictions = np.stack([attack.predictions for attack in attacks])
    right = predictions == gathered.labels
    left = right + np.stack([attack.probabilities for attack in attacks])
    worst: NDArray[np.int64] = predictions[left.argmin(axis=0), np.arange(predictions.shape[1])]
    return worst
