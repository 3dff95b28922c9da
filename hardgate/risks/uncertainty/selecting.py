"""How good the answers are when the model may decline those it is least sure of.

Geifman and El-Yaniv (2017), "Selective classification for deep neural networks". The confidence is
the largest probability as it is served. Answers of the same confidence cannot be told apart, so
each counts for its share: a model that is equally sure of everything gains nothing by declining.
Risk at every coverage has one number, the area under its curve: Geifman, Uziel and El-Yaniv (2019),
"Bias-reduced uncertainty estimation for deep neural classifiers".

Intervals resample the test inputs and draw the line anew each time. Where all chosen answers are
right there is nothing to resample, so an interval is never narrower than Wilson's of the chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hardgate import measurements, statistics
from hardgate.records import Measurement


def measure(
    correct: NDArray[np.bool_],
    confidence: NDArray[np.floating],
    coverages: Sequence[float],
    *,
    seed: int,
) -> dict[str, Measurement]:
    """Measure accuracy at each coverage, and the area under the risk-coverage curve.

    Parameters
    ----------
    correct, confidence
        Whether each answer is right, and how sure the model is of it; shape ``(n,)``.
    coverages
        Shares of inputs that are answered.
    """
    samples = len(correct)
    order = np.argsort(-confidence, kind="stable")
    edges = np.flatnonzero(np.diff(confidence[order], prepend=np.inf))  # where a level begins
    right = correct[order].astype(float)
    blocks = [np.ones((1, samples)), *statistics.resamples(samples, seed=seed)]
    levels = [_levels(counts, right, edges) for counts in blocks]
    found: dict[str, Measurement] = {}
    for coverage in coverages:
        value, *draws = [_accuracy(*level, coverage) for level in levels]
        drawn = statistics.percentiles(float(value[0]), np.concatenate(draws), samples)
        found[measurements.selective_accuracy(coverage)] = _at_least_wilson(drawn, coverage)
    value, *draws = [_area(*level) for level in levels]
    area = statistics.percentiles(float(value[0]), np.concatenate(draws), samples)
    if correct.all():  # no error was seen, at whatever confidence
        area = area.model_copy(update={"upper": statistics.share(~correct).upper})
    return found | {measurements.RISK_COVERAGE_AREA: area}


def _levels(
    counts: NDArray[np.float64], right: NDArray[np.float64], edges: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count samples and right ones at each level of confidence, for each resample."""
    return np.add.reduceat(counts, edges, axis=1), np.add.reduceat(counts * right, edges, axis=1)


def _accuracy(
    sizes: NDArray[np.float64], right: NDArray[np.float64], coverage: float
) -> NDArray[np.float64]:
    """Give the share of right answers among the surest, shape ``(resamples,)``."""
    answered = coverage * sizes.sum(axis=1, keepdims=True)
    before = np.cumsum(sizes, axis=1) - sizes
    taken = np.clip(answered - before, 0, sizes) / np.maximum(sizes, 1)
    accuracy: NDArray[np.float64] = (taken * right).sum(axis=1) / answered[:, 0]
    return accuracy


def _area(sizes: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the mean risk over all coverages, shape ``(resamples,)``."""
    answered = np.cumsum(sizes, axis=1)
    risk = 1 - np.cumsum(right, axis=1) / np.maximum(answered, 1)
    area: NDArray[np.float64] = (risk * sizes).sum(axis=1) / answered[:, -1]
    return area


def _at_least_wilson(drawn: Measurement, coverage: float) -> Measurement:
    answered = max(1, round(coverage * drawn.samples))
    wilson = statistics.wilson(min(answered, round(drawn.value * answered)), answered)
    return drawn.model_copy(
        update={
            "lower": min(drawn.lower, wilson.lower),
            "upper": max(drawn.upper, wilson.upper),
            "samples": answered,
        }
    )
