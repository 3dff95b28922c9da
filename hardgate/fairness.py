"""Whether groups of people are treated alike, on clean inputs and under attack.

Rates per group come from Fairlearn's ``MetricFrame`` (Weerts et al. 2023, "Fairlearn: assessing
and improving fairness of AI systems"). Two differences between groups are judged: demographic
parity, the spread of selection rates (Dwork et al. 2012), and equalized odds, the larger spread of
true and false positive rates (Hardt, Price and Srebro 2016). Fairlearn's own intervals fit its
model once per resample, a third of a second each; resampling the counts of (group, truth,
prediction) gives the same intervals in milliseconds, for equalized odds too.

A group is judged on a rate only when enough samples stand under that rate. The others are measured
and reported as ``small_group``: noise of a handful must not decide, and must not hide either.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, model_validator

from hardgate import measurements, statistics
from hardgate.errors import ContractError, ParamsError
from hardgate.measurements import Difference, GroupRate, Situation
from hardgate.records import Column, ColumnType, Measurement, Record, TableInput
from hardgate.statistics import Statistic

if TYPE_CHECKING:
    import pandas as pd

Labels = NDArray[np.int64]
Groups = NDArray[np.str_]


class Fairness(Record):
    """Which prediction is the one that counts, and who belongs together.

    ``bins`` gives the inner edges that group each sensitive column of numbers: ``AGE: [30, 45]``
    makes "below 30", "30 to 45" (45 excluded) and "45 and above". Categories group themselves.
    """

    positive: str  # the class whose prediction changes a life, as the dataset names it
    min_group: PositiveInt  # a rate over fewer samples is reported, not judged
    bins: dict[str, tuple[float, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _bins_are_ordered(self) -> Self:
        for column, edges in self.bins.items():
            if not edges or any(left >= right for left, right in pairwise(edges)):
                raise ValueError(f"bins.{column}: {list(edges)} must rise, with one edge at least")
        return self

    def check(self, spec: TableInput) -> None:
        """Refuse a section that does not fit the table.

        Raises
        ------
        ParamsError
            If ``positive`` is no class, a sensitive column of numbers has no bins, or bins are
            given to a column that needs none.
        """
        if self.positive not in spec.classes:
            raise ParamsError(
                f"fairness.positive: {self.positive!r} is no class; one of {list(spec.classes)}"
            )
        needed = {
            column.name
            for column in spec.columns
            if column.sensitive and column.type is not ColumnType.CATEGORICAL
        }
        if missing := sorted(needed - self.bins.keys()):
            raise ParamsError(f"fairness.bins: sensitive columns of numbers need edges: {missing}")
        if unneeded := sorted(self.bins.keys() - needed):
            raise ParamsError(
                f"fairness.bins: {unneeded} are no sensitive columns of numbers; take them out, "
                "or mark them sensitive in the dataset"
            )


def measure(
    params: Fairness,
    spec: TableInput,
    inputs: NDArray[np.float32],
    *,
    labels: Labels,
    predictions: Labels,
    situation: Situation,
    seed: int,
) -> dict[str, Measurement]:
    """Measure differences and group rates for every sensitive column.

    Parameters
    ----------
    inputs
        Clean inputs, shape ``(n, columns)``: who somebody is does not change under attack.
    labels, predictions
        Class indices, shape ``(n,)``; under attack, predictions are of the adversarial inputs.

    Returns
    -------
    dict
        By full name. A difference is absent where fewer than two groups can be judged.
    """
    params.check(spec)
    if inputs.shape != (len(labels), len(spec.columns)) or labels.shape != predictions.shape:
        raise ContractError(
            f"inputs {inputs.shape}, labels {labels.shape} and predictions {predictions.shape} "
            f"do not fit {len(spec.columns)} columns"
        )
    positive = spec.classes.index(params.positive)
    measured: dict[str, Measurement] = {}
    for index, column in enumerate(spec.columns):
        if column.sensitive:
            groups = group(column, inputs[:, index], params.bins.get(column.name, ()))
            counts = _count(groups, labels == positive, predictions == positive)
            for difference, found in _differences(counts, params.min_group, seed).items():
                measured[measurements.difference(column.name, situation, difference)] = found
            for (name, rate), (found, small) in _rates(
                groups, labels, predictions, positive, params.min_group
            ).items():
                full = measurements.group_rate(column.name, situation, name, rate, small=small)
                measured[full] = found
    return measured


def group(column: Column, values: NDArray[np.float32], edges: tuple[float, ...]) -> Groups:
    """Name the group of each value; a missing one is a group too."""
    named: Groups = np.array(group_names(column, edges))
    if column.type is ColumnType.CATEGORICAL:
        return named.take(values.astype(int))  # a missing one has the code -1
    return named.take(np.where(np.isnan(values), -1, np.digitize(values, edges)))


def group_names(column: Column, edges: tuple[float, ...]) -> tuple[str, ...]:
    """Name the groups of a column in their own order, the missing last."""
    if column.type is ColumnType.CATEGORICAL:
        return (*column.categories, "missing")
    between = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return (f"below {edges[0]:g}", *between, f"{edges[-1]:g} and above", "missing")


def _count(
    groups: Groups, truth: NDArray[np.bool_], predicted: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Count samples by (group, truth, prediction), shape ``(groups, 2, 2)``."""
    names, index = np.unique(groups, return_inverse=True)
    cells = np.bincount(index * 4 + truth * 2 + predicted, minlength=len(names) * 4)
    return cells.reshape(-1, 2, 2)


def _differences(counts: NDArray[np.int64], floor: int, seed: int) -> dict[Difference, Measurement]:
    """Measure the differences that at least two groups have samples enough for."""
    large = counts.sum(axis=(1, 2)) >= floor
    enough = counts.sum(axis=2) >= floor  # by (group, truth)
    asked: dict[Difference, tuple[NDArray[np.bool_], Statistic]] = {
        "demographic_parity": (
            large,
            lambda cells: _spread(_selection_rate(cells), large[large]),
        ),
    }
    if (enough.sum(axis=0) >= 2).all():
        some = enough.any(axis=1)
        asked["equalized_odds"] = (
            some,
            lambda cells: np.maximum(
                _spread(_positive_rate(cells, truth=0), enough[some, 0]),
                _spread(_positive_rate(cells, truth=1), enough[some, 1]),
            ),
        )
    return {
        name: _bootstrap(counts[judged], statistic, seed)
        for name, (judged, statistic) in asked.items()
        if judged.sum() >= 2
    }


def _bootstrap(counts: NDArray[np.int64], statistic: Statistic, seed: int) -> Measurement:
    """Resample the counts; ``statistic`` takes frequencies of shape ``(..., groups, 2, 2)``."""
    return statistics.bootstrap_means(
        np.eye(counts.size),
        {"difference": lambda means: statistic(means.reshape(*means.shape[:-1], *counts.shape))},
        seed=seed,
        counts=counts.ravel(),
    )["difference"]


def _selection_rate(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    rate: NDArray[np.float64] = cells[..., 1].sum(axis=-1) / cells.sum(axis=(-2, -1))
    return rate


def _positive_rate(cells: NDArray[np.float64], *, truth: int) -> NDArray[np.float64]:
    rate: NDArray[np.float64] = cells[..., truth, 1] / cells[..., truth, :].sum(axis=-1)
    return rate


def _spread(rates: NDArray[np.float64], judged: NDArray[np.bool_]) -> NDArray[np.float64]:
    spread: NDArray[np.float64] = np.ptp(rates[..., judged], axis=-1)
    return spread


def _rates(
    groups: Groups, labels: Labels, predictions: Labels, positive: int, floor: int
) -> dict[tuple[str, GroupRate], tuple[Measurement, bool]]:
    """Measure each group's rates, and whether too few samples stand under them."""
    table = _frame(groups, labels, predictions, positive)
    under: dict[GroupRate, str] = {
        "accuracy": "samples",
        "selection_rate": "samples",
        "true_positive_rate": "positives",
        "false_positive_rate": "negatives",
    }
    measured: dict[tuple[str, GroupRate], tuple[Measurement, bool]] = {}
    for name, row in table.iterrows():
        for rate, total in under.items():
            if samples := round(row[total]):
                found = statistics.wilson(round(row[rate] * samples), samples)
                measured[str(name), rate] = (found, samples < floor)
    return measured


def _frame(groups: Groups, labels: Labels, predictions: Labels, positive: int) -> pd.DataFrame:
    """Tabulate rates and how many samples stand under them, one row per group."""
    from fairlearn import metrics

    truth, predicted = (labels == positive).astype(int), (predictions == positive).astype(int)
    rates = metrics.MetricFrame(
        metrics={
            "samples": metrics.count,
            "positives": lambda truth, _: int(np.sum(truth)),
            "negatives": lambda truth, _: int(np.sum(1 - np.asarray(truth))),
            "selection_rate": metrics.selection_rate,
            "true_positive_rate": metrics.true_positive_rate,
            "false_positive_rate": metrics.false_positive_rate,
        },
        y_true=truth,
        y_pred=predicted,
        sensitive_features=groups,
    ).by_group
    correct = (labels == predictions).astype(int)
    rates["accuracy"] = metrics.MetricFrame(  # of all classes, not only of the positive one
        metrics=metrics.mean_prediction, y_true=correct, y_pred=correct, sensitive_features=groups
    ).by_group
    table: pd.DataFrame = rates
    return table
