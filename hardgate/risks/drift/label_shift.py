"""How often each class occurs in new data whose labels nobody knows yet.

Lipton, Wang and Smola (2018), "Detecting and correcting for label shift with black box predictors",
arXiv:1802.03916. If classes look as they did and only occur more or less often, what the model says
of new data is a mixture of what it says of each class; the confusion matrix of old, labelled rows
tells the mixture apart. A model that cannot tell a class from the others cannot tell its share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hardgate.records import Measurement
from hardgate.statistics import CONFIDENCE, RESAMPLES

TELLS = 0.05  # the least singular value of the confusion matrix, each class summing to one
Shares = NDArray[np.float64]


@dataclass(frozen=True)
class Shift:
    """Shares of the classes, old and new, and of each how often the model is right.

    ``drawn`` are resamples, shape ``(RESAMPLES, k)``.
    """

    old: Shares
    new: Shares
    recall: Shares
    old_drawn: Shares
    new_drawn: Shares
    recall_drawn: Shares
    samples: int

    def accuracy(self) -> tuple[float, Shares]:
        """Give the accuracy on new rows if classes still look the same, and resamples of it."""
        return float(self.new @ self.recall), (self.new_drawn * self.recall_drawn).sum(axis=1)

    def shares(self) -> list[Measurement]:
        """Measure the share of each class in the new data."""
        tail = (1 - CONFIDENCE) / 2
        lower, upper = np.quantile(self.new_drawn, [tail, 1 - tail], axis=0)
        return [
            Measurement(
                value=value,
                lower=min(value, low),
                upper=max(value, high),
                samples=self.samples,
                interval="bootstrap",
            )
            for value, low, high in zip(
                self.new.tolist(), lower.tolist(), upper.tolist(), strict=True
            )
        ]

    def moved(self) -> Measurement:
        """Measure the share of rows by which classes moved: the total variation.

        A distance of noisy shares is too large, so resamples do not show where the true one lies.
        By the triangle inequality it is no further away than the shares themselves are.
        """
        difference = self.new - self.old
        value = float(np.abs(difference).sum() / 2)
        away = np.abs(self.new_drawn - self.old_drawn - difference).sum(axis=1) / 2
        radius = float(np.quantile(away, CONFIDENCE))
        return Measurement(
            value=value,
            lower=max(0.0, value - radius),
            upper=min(1.0, value + radius),
            samples=self.samples,
            interval="bootstrap",
        )


def estimate(
    said: NDArray[np.int64],
    labels: NDArray[np.int64],
    said_of_new: NDArray[np.int64],
    *,
    classes: int,
    seed: int,
) -> Shift | None:
    """Estimate the shares of the classes, or nothing if the model cannot tell them.

    Parameters
    ----------
    said, labels
        What the model says of old rows that it was not trained on, and what they are, shape
        ``(n,)``.
    said_of_new
        What it says of the new rows, shape ``(m,)``.
    """
    counts = np.bincount(said * classes + labels, minlength=classes**2)
    joint = counts.reshape(classes, classes) / len(labels)
    old = joint.sum(axis=0)
    if old.min() <= 0 or _tells(joint / old) < TELLS:
        return None
    answered = np.bincount(said_of_new, minlength=classes) / len(said_of_new)
    generator = np.random.default_rng(seed)
    joints = generator.multinomial(len(labels), joint.ravel(), RESAMPLES) / len(labels)
    joints = joints.reshape(-1, classes, classes)
    answers = generator.multinomial(len(said_of_new), answered, RESAMPLES) / len(said_of_new)
    return Shift(
        old=old,
        new=_solve(joint[None], answered[None])[0],
        recall=_recall(joint[None])[0],
        old_drawn=joints.sum(axis=1),
        new_drawn=_solve(joints, answers),
        recall_drawn=_recall(joints),
        samples=len(labels) + len(said_of_new),
    )


def _tells(confusion: Shares) -> float:
    return float(np.linalg.svd(confusion, compute_uv=False).min())


def _solve(joints: Shares, answers: Shares) -> Shares:
    """Tell the mixtures apart, for many matrices at once; shares below nothing are nothing."""
    weights = (np.linalg.pinv(joints) @ answers[:, :, None])[:, :, 0]
    shares = np.maximum(weights * joints.sum(axis=1), 0)
    total = shares.sum(axis=1, keepdims=True)
    alike: Shares = np.full_like(shares, 1 / shares.shape[1])
    np.divide(shares, total, out=alike, where=total > 0)
    return alike


def _recall(joints: Shares) -> Shares:
    """Give how often each class is recognised; nobody knows where a resample has none of it."""
    rows = joints.sum(axis=1)
    recall: Shares = np.full_like(rows, 0.5)
    np.divide(np.diagonal(joints, axis1=1, axis2=2), rows, out=recall, where=rows > 0)
    return recall
