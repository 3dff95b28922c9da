"""Attribute inference: a cell that the attacker lacks, guessed with the help of the model.

He knows the other cells of a row that was trained on, and its label, and may ask the model about
rows of his own making. Two attacks. Membership (Yeom et al. 2018, arXiv:1709.01604): try each
value and see with which the row looks most like one trained on; here that is Bayes' rule, with
RMIA's likelihood ratio on the odds of an imputer. Confidence (Fredrikson et al. 2014, "Privacy in
pharmacogenetics"; 2015, "Model inversion attacks that exploit confidence information"): the value
with which the model is surest of the true label, weighed by how frequent it is.

Much of a row can be guessed without any model, and that is no secret of the model: Jayaraman and
Evans (2022), "Are attribute inference attacks just imputation?", arXiv:2209.01292. So both are
compared, row by row, with the imputer alone: trees on held-out and test rows, given the other cells
and the label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardgate import measurements, progress, statistics
from hardgate.measurements import Inference
from hardgate.records import Column, ColumnType, InputSpec, Measurement, TableInput
from hardgate.risks.privacy import membership
from hardgate.risks.privacy.audited import Audited
from hardgate.samples import Samples
from hardgate.shadows import Shadow
from hardgate.subject import Subject

ROUNDS = 30  # of boosted trees
RAREST = 1e-3  # the odds of a value that the imputer never saw


def inferred(spec: InputSpec) -> tuple[str, ...]:
    """List the columns that are guessed: sensitive ones of categories."""
    return tuple(column.name for _, column in _sensitive(spec))


def measure(
    subject: Subject, audited: Audited, shadows: Sequence[Shadow], count: int
) -> dict[str, Measurement]:
    """Guess every sensitive column of up to ``count`` rows trained on."""
    found: dict[str, Measurement] = {}
    for position, column in progress.track(_sensitive(subject.spec), "attributes"):
        known = audited.member & (audited.pool.inputs[:, position] >= 0)
        chosen = known.nonzero().squeeze(1)[:count]
        if len(chosen):
            found |= _guess(subject, audited, shadows, chosen, position, column)
    return found


def _guess(
    subject: Subject,
    audited: Audited,
    shadows: Sequence[Shadow],
    chosen: Tensor,
    position: int,
    column: Column,
) -> dict[str, Measurement]:
    """Guess one column of the chosen rows, with and without the model."""
    rows = audited.pool.take(chosen)
    truth = rows.inputs[:, position].long().numpy()
    prior, odds = _impute(subject, rows, position, len(column.categories))
    saw = torch.stack([shadow.saw[chosen] for shadow in shadows])
    asked = [
        membership.watch(subject.model, shadows, _with(rows, position, value), saw, subject)
        for value in range(len(column.categories))
    ]
    ratio = torch.stack([each.log_ratio(~each.saw) for each in asked], dim=1).numpy()
    sure = torch.stack([torch.nn.functional.logsigmoid(each.target) for each in asked], dim=1)
    right: dict[Inference, NDArray[np.bool_]] = {
        "membership": (np.log(odds) + ratio).argmax(1) == truth,
        "confidence": (np.log(prior) + sure.numpy()).argmax(1) == truth,
    }
    without = odds.argmax(1) == truth
    return {measurements.imputed(column.name): statistics.share(without)} | {
        measurements.attribute_gain(column.name, attack): statistics.bootstrap_means(
            (guessed.astype(float) - without)[:, None],
            {"gain": lambda means: means[..., 0]},
            seed=subject.seed,
        )["gain"]
        for attack, guessed in right.items()
    }


def _impute(
    subject: Subject, rows: Samples, position: int, values: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Learn a column from rows that were not trained on.

    Returns
    -------
    tuple
        How frequent each value is, shape ``(values,)``, and its chance in each of ``rows``, shape
        ``(n, values)``.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # seconds to import

    lessons = [subject.held_out, subject.test]
    seen = np.concatenate([_without(lesson, position) for lesson in lessons])
    cells = torch.cat([lesson.inputs[:, position] for lesson in lessons]).long().numpy()
    seen, cells = seen[cells >= 0], cells[cells >= 0]
    counts = np.bincount(cells, minlength=values).astype(np.float64)
    prior: NDArray[np.float64] = (counts + RAREST) / (counts + RAREST).sum()
    odds: NDArray[np.float64] = np.full((len(rows), values), RAREST)
    if len(np.unique(cells)) < 2:
        return prior, odds + prior
    trees = HistGradientBoostingClassifier(
        max_iter=ROUNDS, early_stopping=False, random_state=subject.seed
    ).fit(seen, cells)
    odds[:, trees.classes_] += trees.predict_proba(_without(rows, position))
    return prior, odds


def _without(samples: Samples, position: int) -> NDArray[np.float32]:
    """Give all cells but one column's, and the label in its place."""
    cells = samples.inputs.clone()
    cells[:, position] = samples.labels.float()
    return cells.numpy()


def _with(samples: Samples, position: int, value: int) -> Samples:
    """Give the samples with one value in a column."""
    inputs = samples.inputs.clone()
    inputs[:, position] = value
    return Samples(inputs, samples.labels, samples.rows)


def _sensitive(spec: InputSpec) -> list[tuple[int, Column]]:
    if not isinstance(spec, TableInput):
        return []
    return [
        (position, column)
        for position, column in enumerate(spec.columns)
        if column.sensitive and column.type is ColumnType.CATEGORICAL and len(column.categories) > 1
    ]
