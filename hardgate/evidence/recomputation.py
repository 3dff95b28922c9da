"""Make the accuracies and AUCs again, from nothing but the per-sample outcomes.

Evaluation takes its numbers from here and verification compares with them, so that a signed
number and the outcomes behind it cannot drift apart. A sample survives an attack when the model
is right on the clean input and on the attacked one: the clean input lies in the region too. The
worst case of a sample is over all attacks, among the samples that every attack was run on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardgate import measurements, statistics
from hardgate.errors import ContractError
from hardgate.evidence.outcomes import Answers, Outcomes
from hardgate.records import Measurement


def recompute(outcomes: Outcomes, *, classes: int, seed: int) -> dict[str, Measurement]:
    """Measure everything that the outcomes alone can say.

    Parameters
    ----------
    classes
        How many the model tells apart; AUCs are recomputed for two, of which the second is the
        positive one.
    seed
        Of the bootstrap that gives AUCs their intervals.
    """
    correct = outcomes.clean.predictions == outcomes.labels
    found = {measurements.clean("accuracy"): statistics.share(correct)}
    for name, attack in outcomes.attacks.items():
        survives = correct & (attack.predictions == outcomes.labels)
        found[measurements.robust(name, "accuracy")] = statistics.share(survives[attack.known])
        tried = attack.known & correct
        if tried.any():
            found[measurements.attack_success(name)] = statistics.share(~survives[tried])
    if outcomes.attacks:
        found |= _worst_case(outcomes, correct)
    return found | (_aucs(outcomes, seed) if classes == 2 else {})


def can_recompute(name: str, *, classes: int) -> bool:
    """Tell whether a measurement of this name must follow from the outcomes."""
    first, last = name.split("/")[0], name.split("/")[-1]
    if first == "attack_success":
        return True
    return first in {"clean", "robust"} and (last == "accuracy" or (last == "auc" and classes == 2))


def auc(scores: NDArray[np.float64], labels: NDArray[np.int64], *, seed: int) -> Measurement:
    """Measure the area under the ROC curve of binary labels, ties counted half.

    Raises
    ------
    ContractError
        If only one class is there.
    """
    if len(np.unique(labels)) != 2:
        raise ContractError("an AUC needs samples of both classes")
    _, ranks = np.unique(scores, return_inverse=True)
    levels = int(ranks.max()) + 1
    positive = labels == 1

    def statistic(rows: NDArray[np.intp]) -> float:
        """Count the pairs in the right order, level of score by level of score."""
        chosen, is_positive = ranks[rows], positive[rows]
        above = np.bincount(chosen[is_positive], minlength=levels).astype(np.float64)
        below = np.bincount(chosen[~is_positive], minlength=levels).astype(np.float64)
        pairs = above.sum() * below.sum()
        if pairs == 0:
            return float("nan")
        return float((above * (below.cumsum() - below / 2)).sum() / pairs)

    return statistics.bootstrap(statistic, len(labels), seed=seed)


def _attacked_by_all(outcomes: Outcomes) -> NDArray[np.bool_]:
    known = [attack.known for attack in outcomes.attacks.values()]
    return np.array(np.logical_and.reduce(known), bool)


def _worst_case(outcomes: Outcomes, correct: NDArray[np.bool_]) -> dict[str, Measurement]:
    every = _attacked_by_all(outcomes)
    if not every.any():
        return {}
    survives = correct.copy()
    for attack in outcomes.attacks.values():
        survives &= attack.predictions == outcomes.labels
    name = measurements.robust(measurements.WORST_CASE, "accuracy")
    return {name: statistics.share(survives[every])}


def _aucs(outcomes: Outcomes, seed: int) -> dict[str, Measurement]:
    found = {measurements.clean("auc"): _auc_of(outcomes, outcomes.clean, seed)}
    for name, attack in outcomes.attacks.items():
        found[measurements.robust(name, "auc")] = _auc_of(outcomes, attack, seed)
    if outcomes.attacks:
        least = np.minimum.reduce(
            [outcomes.clean.probabilities, *(a.probabilities for a in outcomes.attacks.values())]
        )
        every = _attacked_by_all(outcomes)
        worst = Answers(every, outcomes.clean.inputs, outcomes.clean.predictions, least)
        found[measurements.robust(measurements.WORST_CASE, "auc")] = _auc_of(outcomes, worst, seed)
    return {name: measured for name, measured in found.items() if measured is not None}


def _auc_of(outcomes: Outcomes, said: Answers, seed: int) -> Measurement | None:
    """Measure one AUC, unless only one class was attacked."""
    labels = outcomes.labels[said.known]
    true = said.probabilities[said.known].astype(np.float64)
    if len(np.unique(labels)) != 2:
        return None
    return auc(np.where(labels == 1, true, 1 - true), labels, seed=seed)
