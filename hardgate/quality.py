"""How good predictions are: accuracy, ranking, calibration, losses, and what corruption costs.

The area under the ROC curve gets the closed form of DeLong et al. (1988), "Comparing the areas
under two or more correlated receiver operating characteristic curves", by midranks as in Sun and
Xu (2014); with several classes it is the mean over one-versus-rest (Hand and Till 2001 discuss the
choice), and DeLong's components of each sample are averaged likewise. The interval is taken on
the logit scale, so that it stays within [0, 1]. Where classes are (almost) separated DeLong's
variance vanishes, which says more about the test set than about the model: the interval is
therefore never narrower than the pseudo-score interval of Newcombe (2006), "Confidence intervals
for an effect size measure based on the Mann-Whitney statistic, part 2", method 5.

Calibration error is that of Guo et al. (2017), "On calibration of modern neural networks", with
15 equal bins; Brier (1950) is summed over classes, so that it lies in [0, 2].
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from hardgate import measurements, statistics
from hardgate.errors import ContractError
from hardgate.measurements import Metric
from hardgate.records import Measurement
from hardgate.statistics import Statistic, Z, midranks

BINS = 15
Labels = NDArray[np.int64]
Probabilities = NDArray[np.floating]


def measure(
    labels: Labels, probabilities: Probabilities, *, seed: int
) -> dict[Metric, Measurement]:
    """Measure everything that labels and probabilities tell.

    Parameters
    ----------
    labels
        Class indices, shape ``(n,)``.
    probabilities
        Shape ``(n, k)``; rows sum to one.

    Returns
    -------
    dict
        By metric. AUC is absent when a class has fewer than two samples: it cannot be known.

    Raises
    ------
    ContractError
        If shapes do not fit, a label is no class, or a row is no distribution.
    """
    _check(labels, probabilities)
    measured: dict[Metric, Measurement] = {
        "accuracy": accuracy(labels, probabilities),
        **calibration(labels, probabilities, seed=seed),
    }
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    if counts.min() >= 2:
        measured["auc"] = auc(labels, probabilities)
    return measured


def accuracy(labels: Labels, probabilities: Probabilities) -> Measurement:
    """Measure the share of samples whose likeliest class is theirs."""
    return statistics.share(probabilities.argmax(axis=1) == labels)


def auc(labels: Labels, probabilities: Probabilities) -> Measurement:
    """Measure the area under the ROC curve; with several classes the mean of one against the rest.

    Raises
    ------
    ContractError
        If a class has fewer than two samples, or all but one.
    """
    # With two classes both sides are the same question; asking once halves the work.
    classes = [1] if probabilities.shape[1] == 2 else list(range(probabilities.shape[1]))
    sides = [delong(labels == c, probabilities[:, c].astype(float)) for c in classes]
    value = float(np.mean([area for area, _ in sides]))
    influence = np.mean([parts for _, parts in sides], axis=0)
    counts = [int(np.count_nonzero(labels == c)) for c in classes]
    bounds = [
        _pseudo_score(area, positives=count, negatives=len(labels) - count)
        for (area, _), count in zip(sides, counts, strict=True)
    ]
    low, high = _on_the_logit_scale(value, float(np.sqrt(np.sum(influence**2))))
    return Measurement(
        value=value,
        lower=min(value, low, float(np.mean([lower for lower, _ in bounds]))),
        upper=max(value, high, float(np.mean([upper for _, upper in bounds]))),
        samples=len(labels),
        interval="delong",
    )


def separation(belonging: NDArray[np.float64], others: NDArray[np.float64]) -> Measurement:
    """Measure how often one score is above another: the AUC of telling the two kinds apart."""
    labels = np.repeat([1, 0], [len(belonging), len(others)])
    scores = np.concatenate([belonging, others])
    return auc(labels, np.stack([-scores, scores], axis=1))


def calibration(
    labels: Labels, probabilities: Probabilities, *, seed: int
) -> dict[Metric, Measurement]:
    """Measure balanced accuracy, calibration error, Brier score and log loss, all at once."""
    samples, classes = probabilities.shape
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    correct = (predicted == labels).astype(float)
    truth = np.eye(classes)[labels]
    of_the_true = probabilities[np.arange(samples), labels].astype(float)
    gap = np.zeros((samples, BINS))
    in_bin = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gap[np.arange(samples), in_bin] = correct - confidence
    columns = np.hstack(
        [
            gap,
            np.square(probabilities - truth).sum(axis=1, keepdims=True),
            -np.log(np.maximum(of_the_true, np.finfo(np.float32).tiny))[:, None],
            truth,
            truth * correct[:, None],
        ]
    )
    asked: dict[Metric, Statistic] = {
        "ece": lambda means: np.abs(means[..., :BINS]).sum(axis=-1),
        "brier": lambda means: means[..., BINS],
        "log_loss": lambda means: means[..., BINS + 1],
        "balanced_accuracy": lambda means: _mean_recall(means[..., BINS + 2 :]),
    }
    return statistics.bootstrap_means(columns, asked, seed=seed)


def corruption(
    clean: NDArray[np.bool_], corrupted: Mapping[tuple[str, int], NDArray[np.bool_]], *, seed: int
) -> dict[str, Measurement]:
    """Measure accuracy under each corruption and severity, their mean, and what they cost.

    The cost is mean corrupted error over clean error, the relative error of Mu and Gilmer (2019),
    "MNIST-C". It is absent when the clean error is too close to zero for a finite interval.

    Parameters
    ----------
    clean
        Whether each sample is classified correctly, shape ``(n,)``.
    corrupted
        The same samples under each ``(corruption, severity)``.

    Returns
    -------
    dict
        By full name, as :mod:`hardgate.measurements` spells it.
    """
    if not corrupted or any(correct.shape != clean.shape for correct in corrupted.values()):
        raise ContractError("corruption is measured on the same samples as clean, at least once")
    measured = {
        measurements.corruption(name, severity): statistics.share(correct)
        for (name, severity), correct in corrupted.items()
    }
    # Whole samples are resampled: the cells of one sample stand and fall together.
    columns = np.stack([np.mean([*corrupted.values()], axis=0), clean.astype(float)], axis=1)
    measured[measurements.CORRUPTION_MEAN] = statistics.bootstrap_means(
        columns, {"mean": lambda means: means[..., 0]}, seed=seed
    )["mean"]
    try:
        measured[measurements.CORRUPTION_ERROR_RATIO] = statistics.bootstrap_means(
            columns, {"ratio": lambda means: (1 - means[..., 0]) / (1 - means[..., 1])}, seed=seed
        )["ratio"]
    except ContractError:  # no finite interval: what cannot be measured is absent
        return measured
    return measured


def _check(labels: Labels, probabilities: Probabilities) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ContractError(
            f"labels {labels.shape} and probabilities {probabilities.shape} do not fit"
        )
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ContractError(
            f"labels run from {labels.min()} to {labels.max()}, "
            f"but there are {probabilities.shape[1]} classes"
        )
    rows = probabilities.sum(axis=1)
    if not (np.all(probabilities >= 0) and np.all(np.abs(rows - 1) < 1e-3)):
        raise ContractError("a row of probabilities is not a distribution (negative, NaN, sum)")


def delong(
    positive: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Give the area, and each sample's part in its error: squares sum to DeLong's variance."""
    m, n = int(np.count_nonzero(positive)), int(np.count_nonzero(~positive))
    if min(m, n) < 2:
        raise ContractError(f"AUC needs two samples of each side; found {m} and {n}")
    ranks = midranks(scores)
    parts = np.empty(len(scores))
    parts[positive] = (ranks[positive] - midranks(scores[positive])) / n
    parts[~positive] = 1 - (ranks[~positive] - midranks(scores[~positive])) / m
    area = float(parts[positive].mean())
    parts -= area
    parts[positive] /= (m * (m - 1)) ** 0.5
    parts[~positive] /= (n * (n - 1)) ** 0.5
    return area, parts


def _on_the_logit_scale(value: float, error: float) -> tuple[float, float]:
    if error == 0 or value in (0.0, 1.0):
        return value, value
    half = Z * error / (value * (1 - value))
    return float(expit(logit(value) - half)), float(expit(logit(value) + half))


def _pseudo_score(area: float, *, positives: int, negatives: int) -> tuple[float, float]:
    """Solve Newcombe's equation on both sides: distance squared is z squared times variance."""
    from scipy.optimize import brentq  # half a second, and only measuring needs it

    half = (positives + negatives) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + half * (1 - theta) / (2 - theta) + half * theta / (1 + theta)
        return (area - theta) ** 2 - Z**2 * theta * (1 - theta) * spread / (positives * negatives)

    within = min(max(area, 1e-9), 1 - 1e-9)  # the variance is zero at 0 and 1 themselves
    lower = 0.0 if area <= 0 else float(brentq(excess, 0.0, within))
    upper = 1.0 if area >= 1 else float(brentq(excess, within, 1.0))
    return lower, upper


def _mean_recall(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average correct over present, over the classes that are present."""
    present, correct = np.split(means, 2, axis=-1)
    recall: NDArray[np.float64] = np.nanmean(correct / present, axis=-1)
    return recall
