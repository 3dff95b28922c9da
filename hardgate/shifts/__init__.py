"""Natural shifts of tables: what the world does to a row without meaning harm.

Models of tables lose most where the people or the times are others than those they learned from,
and no enemy is needed: Ding et al. (2021), "Retiring Adult: new datasets for fair machine
learning", arXiv 2108.04884, across states and years; Gardner, Popović and Schmidt (2023),
"Benchmarking distribution shift in tabular data with TableShift", arXiv 2312.07577. Their shifts
come with data of their own. Here four kinds are made from the test split: prices rise
(:mod:`inflation`), meters err (:mod:`noise`), forms are half empty (:mod:`missing`), others come
(:mod:`subgroup`). To add one: write its file, then name it in the union below. Every member has

``label``
    its name in measurements, spelled from its params;
``check(spec, key)``
    a ParamsError when its params do not fit the table; ``key`` is where they stand;
``shift(samples, spec, generator)``
    the same rows in the shifted world, or those of them that are there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Annotated, Self

import numpy as np
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from hardgate import measurements, quality
from hardgate.errors import ParamsError
from hardgate.measurements import ShiftMetric
from hardgate.records import InputSpec, Measurement, Record, TableInput
from hardgate.samples import Samples
from hardgate.shifts.inflation import Inflation
from hardgate.shifts.missing import Missing
from hardgate.shifts.noise import Noise
from hardgate.shifts.subgroup import Subgroup

KEY = "evaluation.shifts"
METRICS: tuple[ShiftMetric, ...] = ("accuracy", "auc")

Shift = Annotated[Inflation | Noise | Missing | Subgroup, Field(discriminator="name")]
Predict = Callable[[Tensor], Tensor]  # inputs, (n, columns), to probabilities, (n, k)


class Shifts(Record):
    """Which shifts are measured, on how many test rows before a subgroup is chosen."""

    samples: PositiveInt
    members: tuple[Shift, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _labels_are_unique(self) -> Self:
        # as measurements spell them: what is one name there must be one shift here
        counts = Counter(measurements.word(member.label) for member in self.members)
        if twice := sorted(label for label, times in counts.items() if times > 1):
            raise ValueError(f"two shifts are both called {', '.join(map(repr, twice))}; keep one")
        return self

    def check(self, spec: InputSpec) -> TableInput:
        """Give the table that the shifts are of, after checking that each fits it.

        Raises
        ------
        ParamsError
            If the data are images, or a member asks for what the table does not have.
        """
        if not isinstance(spec, TableInput):
            raise ParamsError(f"{KEY} is for tables; for images use evaluation.corruptions")
        for at, member in enumerate(self.members):
            member.check(spec, f"{KEY}.members.{at}")
        return spec


def measure(
    params: Shifts, spec: InputSpec, samples: Samples, predict: Predict, *, seed: int
) -> dict[str, Measurement]:
    """Measure accuracy and AUC under each shift, and take over the worst of them.

    Parameters
    ----------
    samples
        Clean test rows.
    predict
        The model: inputs of shape ``(n, columns)`` to probabilities of shape ``(n, k)``.

    Returns
    -------
    dict
        By full name. A metric is absent where it cannot be known: no row is in the subgroup, or,
        for AUC, too few of a class, or more than two classes. Without one there is no worst either.
    """
    table = params.check(spec)
    found = {
        member.label: _measure(member, table, samples, predict, seed) for member in params.members
    }
    measured: dict[str, Measurement] = {}
    for metric in METRICS:
        known = [(label, under[metric]) for label, under in found.items() if metric in under]
        measured |= {measurements.shift(label, metric): value for label, value in known}
        if len(known) == len(found):
            worst = min((value for _, value in known), key=lambda value: value.lower)
            measured[measurements.worst_shift(metric)] = worst
    return measured


def _measure(
    member: Shift, spec: TableInput, samples: Samples, predict: Predict, seed: int
) -> dict[ShiftMetric, Measurement]:
    shifted = member.shift(samples, spec, np.random.default_rng(seed))
    if not len(shifted):
        return {}
    if shifted.inputs.isinf().any():
        raise ParamsError(f"{KEY}: {member.label} goes beyond what float32 can hold; shift by less")
    probabilities = predict(shifted.inputs).double().numpy()
    found = quality.measure(shifted.labels.numpy(), probabilities, seed=seed)
    metrics = METRICS if len(spec.classes) == 2 else METRICS[:1]
    return {metric: found[metric] for metric in metrics if metric in found}
