"""When to stop training and go back to the best weights, judged from the history alone.

Catastrophic overfitting: a model learns to defeat one-step attacks and nothing else, within an
epoch (Wong, Rice and Kolter 2020, arXiv:2001.03994). Robust overfitting: robustness on unseen data
decays slowly while that on training data grows (Rice, Wong and Kolter 2020, "Overfitting in
adversarially robust deep learning", arXiv:2002.11569).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from hardgate.records import Record

Stopped = Literal["finished", "early stopping", "catastrophic overfitting", "robust overfitting"]
Margin = Annotated[float, Field(gt=0, le=1)]


class Evaluated(Record):
    """Scores at an epoch's end: held-out ones, and the training split's under one step.

    ``robust`` and ``one_step`` are None for a recipe that does not train against attacks, and
    ``certified``, the share proven, for one that does not train bounds.
    """

    clean: float
    robust: float | None
    one_step: float | None
    certified: float | None = None

    @property
    def deciding(self) -> float:
        """The score that picks the best weights."""
        known = (self.certified, self.robust, self.clean)
        return next(score for score in known if score is not None)


class Epoch(Record):
    """What happened in one epoch. ``eps`` is the share of the threat's radius it ended with.

    ``loss`` is None where training is private: it comes from the rows, and no noise hides it.
    """

    epoch: PositiveInt
    loss: float | None
    rate: float
    eps: float
    seconds: float
    evaluated: Evaluated | None


class Monitors(Record):
    """How far robustness on held-out data can fall below its best before training is stopped.

    ``catastrophic`` is the fall within which one evaluation is enough, when one-step robustness on
    training data has not fallen as well; ``robust`` is the one that must last for ``evaluations``.
    """

    catastrophic: Margin
    robust: Margin
    evaluations: PositiveInt


def best(history: Sequence[Epoch]) -> Epoch | None:
    """Find the first of the best evaluated epochs."""
    evaluated = [epoch for epoch in history if epoch.evaluated is not None]
    return max(evaluated, key=_score, default=None)


def verdict(history: Sequence[Epoch], monitors: Monitors, *, patience: int) -> Stopped | None:
    """Say why training must stop after the last epoch, or None to go on.

    Epochs of a radius still growing are not judged: they were not trained for the full one.
    """
    if not history or history[-1].evaluated is None:
        return None
    settled = [epoch for epoch in history if epoch.evaluated is not None and epoch.eps == 1]
    reference = best(settled)
    if reference is None:
        return None
    if _catastrophic(settled[-1], reference, monitors.catastrophic):
        return "catastrophic overfitting"
    falls = [_fall(epoch, reference) for epoch in settled if epoch.epoch > reference.epoch]
    if _robust(falls[-monitors.evaluations :], monitors):
        return "robust overfitting"
    return "early stopping" if len(falls) >= patience else None


def _catastrophic(latest: Epoch, reference: Epoch, margin: float) -> bool:
    now, then = latest.evaluated, reference.evaluated
    if now is None or then is None or now.one_step is None or then.one_step is None:
        return False
    return now.one_step >= then.one_step and (_fall(latest, reference) or 0) > margin


def _robust(falls: Sequence[float | None], monitors: Monitors) -> bool:
    return len(falls) == monitors.evaluations and all(
        fall is not None and fall > monitors.robust for fall in falls
    )


def _fall(epoch: Epoch, reference: Epoch) -> float | None:
    """Give how far robustness lies below the best one; None without attacks."""
    now, then = epoch.evaluated, reference.evaluated
    if now is None or then is None or now.robust is None or then.robust is None:
        return None
    return then.robust - now.robust


def _score(epoch: Epoch) -> float:
    return float("-inf") if epoch.evaluated is None else epoch.evaluated.deciding
