"""Whether groups of people are treated alike, on clean inputs and under attack.

Rates per group come from Fairlearn's ``MetricFrame`` (Weerts et al. 2023, "Fairlearn: assessing
and improving fairness of AI systems"). Four differences between groups are judged: demographic
parity, the spread of selection rates (Dwork et al. 2012); equalized odds, the larger spread of
true and false positive rates (Hardt, Price and Srebro 2016); accuracy, which under attack is the
spread of robust accuracy (Xu et al. 2021, "To be robust or to be fair"); and calibration, the
spread of what the model expects of a group less what comes (calibration in the large: Pleiss et al.
2017, "On fairness and calibration"). A binned calibration error is always above zero, and the more
so the smaller the group; the difference of two means is not, so it is what is compared.

Fairlearn's own intervals fit its model once per resample, a third of a second each; resampling the
counts of (group, truth, prediction, correct) gives the same intervals in milliseconds, for
equalized odds too.

A group is judged on a rate only when enough samples stand under that rate. The others are measured
and reported as ``small_group``: noise of a handful must not decide, and must not hide either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, model_validator

from hardgate import groups, measurements, statistics
from hardgate.errors import ContractError, ParamsError
from hardgate.groups import Groups
from hardgate.measurements import Difference, GroupRate, Situation
from hardgate.params_file import meant
from hardgate.records import Measurement, Record, TableInput
from hardgate.statistics import Statistic

if TYPE_CHECKING:
    import pandas as pd

KEY = "evaluation.fairness"
Labels = NDArray[np.int64]
Probabilities = NDArray[np.floating]


class Fairness(Record):
    """Which prediction is the one that counts, and who belongs together.

    ``bins`` gives the inner edges that group each sensitive column of numbers: ``AGE: [30, 45]``
    makes "below 30", "30 to 45" (45 excluded) and "45 and above". Categories group themselves.
    ``intersections`` names columns that are also taken together.
    """

    positive: str  # the class whose prediction changes a life, as the dataset names it
    min_group: PositiveInt  # a rate over fewer samples is reported, not judged
    bins: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    intersections: tuple[tuple[str, ...], ...] = ()

    @model_validator(mode="after")
    def _bins_and_intersections_are_sound(self) -> Self:
        groups.ordered(self.bins)
        for columns in self.intersections:
            if len(columns) < 2 or len(set(columns)) < len(columns):
                raise ValueError(f"intersections: {list(columns)} must be two columns or more")
        if len({frozenset(columns) for columns in self.intersections}) < len(self.intersections):
            raise ValueError("intersections: the same columns are named twice")
        return self

    def check(self, spec: TableInput) -> None:
        """Refuse a section that does not fit the table.

        Raises
        ------
        ParamsError
            If ``positive`` is no class, a column of an intersection is not sensitive, a sensitive
            column of numbers has no bins, or bins are given to a column that needs none.
        """
        if self.positive not in spec.classes:
            raise ParamsError(
                f"fairness.positive: {self.positive!r} is no class; one of {list(spec.classes)}"
            )
        sensitive = [column.name for column in spec.columns if column.sensitive]
        for name in (name for columns in self.intersections for name in columns):
            if name not in sensitive:
                raise ParamsError(
                    f"fairness.intersections: {name!r} is no sensitive column; one of "
                    f"{sensitive}{meant(name, sensitive)}"
                )
        groups.check(spec, sensitive, self.bins, key="fairness")

    def compared(self, spec: TableInput) -> dict[str, tuple[str, ...]]:
        """List what is compared by its name: each sensitive column, then the intersections."""
        single = [(column.name,) for column in spec.columns if column.sensitive]
        return {groups.label(columns): columns for columns in (*single, *self.intersections)}


def measure(
    params: Fairness,
    spec: TableInput,
    inputs: NDArray[np.float32],
    *,
    labels: Labels,
    predictions: Labels,
    situation: Situation,
    seed: int,
    probabilities: Probabilities | None = None,
) -> dict[str, Measurement]:
    """Measure differences and group rates for every sensitive column and intersection.

    Parameters
    ----------
    inputs
        Clean inputs, shape ``(n, columns)``: who somebody is does not change under attack.
    labels, predictions
        Class indices, shape ``(n,)``; under attack, predictions are of the adversarial inputs.
    probabilities
        Shape ``(n, k)``, for calibration. An attack moves every probability away from its label, so
        there is none to give under attack.

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
    for label, columns in params.compared(spec).items():
        grouped = groups.of(spec, inputs, columns, params.bins)
        counts = _count(grouped, labels, predictions, positive)
        differences = _differences(counts, params.min_group, seed)
        rates = _rates(grouped, labels, predictions, positive, params.min_group)
        if probabilities is not None:
            surprise = probabilities[:, positive].astype(float) - (labels == positive)
            gaps, spread = _calibration(grouped, surprise, params.min_group, seed)
            differences |= spread
            rates |= gaps
        for difference, found in differences.items():
            measured[measurements.difference(label, situation, difference)] = found
        for (name, rate), (found, small) in rates.items():
            full = measurements.group_rate(label, situation, name, rate, small=small)
            measured[full] = found
    return measured


def widest(measured: Mapping[str, Measurement]) -> Measurement | None:
    """Give the largest difference in who is selected on clean inputs, or nothing if none is known.

    One number for a whole model, by which candidates are compared.
    """
    found = [
        seen
        for name, seen in measured.items()
        if name.startswith("fairness/") and name.endswith("/clean/demographic_parity_difference")
    ]
    return max(found, key=lambda seen: seen.value, default=None)


def _count(
    grouped: Groups, labels: Labels, predictions: Labels, positive: int
) -> NDArray[np.int64]:
    """Count samples by (group, truth, prediction, correct), shape ``(groups, 2, 2, 2)``."""
    names, index = np.unique(grouped, return_inverse=True)
    truth, predicted = labels == positive, predictions == positive
    cell = index * 8 + truth * 4 + predicted * 2 + (labels == predictions)
    return np.bincount(cell, minlength=len(names) * 8).reshape(-1, 2, 2, 2)


def _differences(counts: NDArray[np.int64], floor: int, seed: int) -> dict[Difference, Measurement]:
    """Measure the differences that at least two groups have samples enough for."""
    large = counts.sum(axis=(1, 2, 3)) >= floor
    enough = counts.sum(axis=(2, 3)) >= floor  # by (group, truth)
    asked: dict[Difference, tuple[NDArray[np.bool_], Statistic]] = {
        "demographic_parity": (
            large,
            lambda cells: _spread(_selection_rate(cells), large[large]),
        ),
        "accuracy": (large, lambda cells: _spread(_accuracy(cells), large[large])),
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
    """Resample the counts; ``statistic`` takes frequencies of shape ``(..., groups, 2, 2, 2)``."""
    return statistics.bootstrap_means(
        np.eye(counts.size),
        {"difference": lambda means: statistic(means.reshape(*means.shape[:-1], *counts.shape))},
        seed=seed,
        counts=counts.ravel(),
    )["difference"]


def _selection_rate(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    rate: NDArray[np.float64] = cells[..., 1, :].sum(axis=(-2, -1)) / cells.sum(axis=(-3, -2, -1))
    return rate


def _accuracy(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    rate: NDArray[np.float64] = cells[..., 1].sum(axis=(-2, -1)) / cells.sum(axis=(-3, -2, -1))
    return rate


def _positive_rate(cells: NDArray[np.float64], *, truth: int) -> NDArray[np.float64]:
    of_truth = cells[..., truth, :, :].sum(axis=-1)
    rate: NDArray[np.float64] = of_truth[..., 1] / of_truth.sum(axis=-1)
    return rate


def _spread(rates: NDArray[np.float64], judged: NDArray[np.bool_]) -> NDArray[np.float64]:
    spread: NDArray[np.float64] = np.ptp(rates[..., judged], axis=-1)
    return spread


def _calibration(
    grouped: Groups, surprise: NDArray[np.float64], floor: int, seed: int
) -> tuple[dict[tuple[str, GroupRate], tuple[Measurement, bool]], Mapping[Difference, Measurement]]:
    """Measure how much more than what comes is expected of each group, and the spread of that.

    ``surprise`` is probability less truth, shape ``(n,)``.
    """
    names, index, sizes = np.unique(grouped, return_inverse=True, return_counts=True)
    member = np.eye(len(names))[index]
    large = sizes >= floor

    def gap(means: NDArray[np.float64]) -> NDArray[np.float64]:
        expected, share = np.split(means, 2, axis=-1)
        return expected / share

    asked: dict[str, Statistic] = {
        f"group {at}": lambda means, at=at: gap(means)[..., at]  # type: ignore[misc]
        for at in range(len(names))
    }
    if large.sum() >= 2:
        asked["spread"] = lambda means: _spread(gap(means), large)
    columns = np.hstack([member * surprise[:, None], member])
    found = statistics.bootstrap_means(columns, asked, seed=seed)

    def standing(name: str, samples: int) -> Measurement:
        return found[name].model_copy(update={"samples": int(samples)})

    gaps: dict[tuple[str, GroupRate], tuple[Measurement, bool]] = {
        (str(name), "calibration_gap"): (standing(f"group {at}", sizes[at]), not large[at])
        for at, name in enumerate(names)
    }
    spread = {"calibration": standing("spread", sizes[large].sum())} if "spread" in found else {}
    return gaps, spread  # type: ignore[return-value]


def _rates(
    grouped: Groups, labels: Labels, predictions: Labels, positive: int, floor: int
) -> dict[tuple[str, GroupRate], tuple[Measurement, bool]]:
    """Measure each group's rates, and whether too few samples stand under them."""
    table = _frame(grouped, labels, predictions, positive)
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


def _frame(grouped: Groups, labels: Labels, predictions: Labels, positive: int) -> pd.DataFrame:
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
        sensitive_features=grouped,
    ).by_group
    correct = (labels == predictions).astype(int)
    rates["accuracy"] = metrics.MetricFrame(  # of all classes, not only of the positive one
        metrics=metrics.mean_prediction, y_true=correct, y_pred=correct, sensitive_features=grouped
    ).by_group
    table: pd.DataFrame = rates
    return table
