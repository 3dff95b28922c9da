"""How accurate the model is on new data whose labels nobody knows yet.

Garg, Balakrishnan, Lipton, Neyshabur and Sedghi (2022), "Leveraging unlabeled data to predict
out-of-distribution performance", arXiv:2201.04234: the threshold of confidence above which as many
old rows lie as the model gets right; the estimate is the share of new rows above it. Two other
readings stand beside it: new rows are right as often as old ones of the same confidence, and new
rows of a class are right as often as old ones of it, with the shares of classes that
:mod:`~hardgate.risks.drift.label_shift` finds. The second holds where inputs moved, the third where
classes did. No method is right under every shift (the same paper proves it), and where the readings
disagree the truth is uncertain by as much: the interval covers all, and the estimate is their
median.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hardgate.errors import ContractError
from hardgate.records import Measurement
from hardgate.statistics import CONFIDENCE, RESAMPLES

BINS = 20  # of confidence, with equally many old rows each


def confidence(logits: Tensor) -> NDArray[np.float64]:
    """Give the logarithm of the likeliest class's probability, shape ``(n,)``.

    Its logarithm still tells apart what rounds to one as a probability.
    """
    return logits.double().log_softmax(dim=1).amax(dim=1).numpy()


def accuracy(
    confident: NDArray[np.float64],
    correct: NDArray[np.bool_],
    confident_of_new: NDArray[np.float64],
    by_class: tuple[float, NDArray[np.float64]] | None = None,
    *,
    seed: int,
) -> Measurement:
    """Estimate the accuracy on new rows.

    Parameters
    ----------
    confident, correct
        Confidence in old rows that the model was not trained on, and whether it is right.
    confident_of_new
        Confidence in the new rows.
    by_class
        The accuracy that follows from the shares of classes, and resamples of it; where these can
        be known.
    """
    if not (len(confident) and len(confident_of_new)):
        raise ContractError("confidence is read from old rows to new ones; one side has none")
    generator = np.random.default_rng(seed)
    readings = [
        reading(confident, correct, confident_of_new, generator) for reading in (_above, _alike)
    ]
    readings += [] if by_class is None else [by_class]
    tail = (1 - CONFIDENCE) / 2
    ends = [np.quantile(drawn, [tail, 1 - tail]) for _, drawn in readings]
    values = [value for value, _ in readings]
    value = min(1.0, max(0.0, float(np.median(values))))
    return Measurement(
        value=value,
        lower=max(0.0, min(value, *(float(low) for low, _ in ends))),
        upper=min(1.0, max(value, *(float(high) for _, high in ends))),
        samples=len(confident) + len(confident_of_new),
        interval="bootstrap",
    )


def _above(
    old: NDArray[np.float64],
    correct: NDArray[np.bool_],
    new: NDArray[np.float64],
    generator: np.random.Generator,
) -> tuple[float, NDArray[np.float64]]:
    """Average thresholded confidence, and resamples of it.

    Old rows of one and the same confidence are counted in part, so that a model which is equally
    confident of everything is no better on new rows than on old ones.
    """
    levels, place = np.unique(old, return_inverse=True)
    ranked = np.sort(new)
    above = 1 - np.searchsorted(ranked, levels, "right") / len(new)
    reached = 1 - np.searchsorted(ranked, levels, "left") / len(new)
    rows = np.arange(len(old))
    value = _share(place, correct, rows, above, reached)
    drawn = np.empty(RESAMPLES)
    for at in range(RESAMPLES):
        sample = generator.integers(0, len(old), len(old))
        drawn[at] = _share(place, correct, sample, above, reached)
    return value, generator.binomial(len(new), np.clip(drawn, 0, 1)) / len(new)


def _share(
    place: NDArray[np.intp],
    correct: NDArray[np.bool_],
    rows: NDArray[np.int64],
    above: NDArray[np.float64],
    reached: NDArray[np.float64],
) -> float:
    """Find the threshold for some old rows, and the share of new ones that lie above it."""
    counts = np.bincount(place[rows], minlength=len(above))
    wanted = np.count_nonzero(correct[rows])
    at_least = counts[::-1].cumsum()[::-1]
    level = int(np.flatnonzero(at_least >= wanted)[-1])  # the highest with enough rows
    part = (wanted - (at_least[level] - counts[level])) / max(1, counts[level])
    return float(above[level] + part * (reached[level] - above[level]))


def _alike(
    old: NDArray[np.float64],
    correct: NDArray[np.bool_],
    new: NDArray[np.float64],
    generator: np.random.Generator,
) -> tuple[float, NDArray[np.float64]]:
    """Count new rows as right as often as old ones of like confidence, and resamples of it."""
    edges = np.unique(np.quantile(old, np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = len(edges) + 1
    cells = np.searchsorted(edges, old, "left") * 2 + correct
    joint = np.bincount(cells, minlength=2 * bins) / len(old)
    asked = np.bincount(np.searchsorted(edges, new, "left"), minlength=bins) / len(new)
    joints = generator.multinomial(len(old), joint, RESAMPLES).reshape(-1, bins, 2)
    answers = generator.multinomial(len(new), asked, RESAMPLES) / len(new)
    return float(_right(joint.reshape(1, bins, 2))[0] @ asked), (_right(joints) * answers).sum(
        axis=1
    )


def _right(joint: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the share that is right in each bin; an empty one is as right as all."""
    rows = joint.sum(axis=2)
    overall = joint[:, :, 1].sum(axis=1, keepdims=True) / rows.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.where(
        rows > 0, joint[:, :, 1] / np.where(rows > 0, rows, 1), overall
    )
    return shares
