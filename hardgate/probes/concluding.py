"""What follows from all probes together: outcomes per sample, and numbers over all of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hardgate.certification import proofs
from hardgate.errors import ContractError
from hardgate.evidence import outcomes, recomputation
from hardgate.evidence.outcomes import Outcomes
from hardgate.probes.grouping import grouped
from hardgate.probes.probe import Found
from hardgate.probes.section import Evaluation
from hardgate.records import Measurement
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
    clean = found[CLEAN].probabilities
    if clean is None:
        raise ContractError("the clean probe keeps what the model said, and there is nothing")
    return measured | grouped(section, subject, gathered, clean)


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
