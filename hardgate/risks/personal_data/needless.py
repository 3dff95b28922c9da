"""Columns that the model does without: advice on what need not be collected.

Breiman (2001), "Random forests", for shuffling a column on data that the model has not seen: what
it knew of a row by that column is gone, and the column's own distribution stays. What that costs is
measured on the same test rows before and after: AUC with two classes, by the variance of DeLong
et al. (1988) for two correlated areas, and accuracy with more.

Columns that say the same cover for each other: each alone costs nothing, and all together much. So
they are put together one by one, the cheapest first, and one is kept out of the needless ones when
with it their shuffling costs more than is tolerated. The set was chosen on the rows it is measured
on, and what a model of fewer columns would learn is only known once it is trained: it is advice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hardgate import measurements, progress, quality
from hardgate.records import Measurement
from hardgate.statistics import Z
from hardgate.subject import Subject

Parts = tuple[float, NDArray[np.float64]]  # a score, and each sample's part in its error


def measure(subject: Subject, *, shuffles: int, tolerance: float) -> dict[str, Measurement]:
    """Measure what shuffling each column costs, and all needless ones at once, if there are any."""
    names = [column.name for column in subject.spec.columns]  # type: ignore[union-attr]
    before = _score(subject, subject.test.floats())
    costs = [
        _cost(subject, before, [at], shuffles)
        for at in progress.track(range(len(names)), "what columns are worth")
    ]
    left_out: list[int] = []
    together = None
    cheapest_first = np.argsort([cost.upper for cost in costs], kind="stable").tolist()
    for at in progress.track(cheapest_first, "needless columns"):
        cost = _cost(subject, before, [*left_out, at], shuffles)
        if cost.upper <= tolerance:
            left_out.append(at)
            together = cost
    found = {
        measurements.shuffled(name, needless=at in left_out): cost
        for at, (name, cost) in enumerate(zip(names, costs, strict=True))
    }
    return found if together is None else found | {measurements.NEEDLESS_TOGETHER: together}


def _cost(subject: Subject, before: Parts, columns: Sequence[int], shuffles: int) -> Measurement:
    """Compare scores with and without what the columns say; the mean over several shuffles."""
    generator = torch.Generator().manual_seed(subject.seed)
    clean = subject.test.floats()
    scores, parts = [], []
    for _ in range(shuffles):
        inputs = clean.clone()
        for at in columns:
            inputs[:, at] = clean[torch.randperm(len(clean), generator=generator), at]
        score, part = _score(subject, inputs)
        scores.append(score)
        parts.append(part)
    value = before[0] - float(np.mean(scores))
    half = Z * float(np.linalg.norm(before[1] - np.mean(parts, axis=0)))
    return Measurement(
        value=value,
        lower=max(-1.0, value - half),
        upper=min(1.0, value + half),
        samples=len(clean),
        interval="delong",
    )


def _score(subject: Subject, inputs: torch.Tensor) -> Parts:
    labels, probabilities = subject.test.labels.numpy(), subject.predict(inputs).double().numpy()
    if probabilities.shape[1] == 2:
        return quality.delong(labels == 1, probabilities[:, 1])
    right = (probabilities.argmax(1) == labels).astype(float)
    return float(right.mean()), (right - right.mean()) / len(right)
