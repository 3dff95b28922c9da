"""Make the accuracies and AUCs again, from nothing but the per-sample outcomes.

Evaluation takes its numbers from here and verification compares with them, so that a signed
number and the outcomes behind it cannot drift apart. A sample survives an attack when the model
is right on the clean input and on the attacked one: the clean input lies in the region too. The
worst case of a sample is over all attacks, among the samples that every attack was run on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardgate import measurements, quality, statistics
from hardgate.evidence.outcomes import Answers, Outcomes
from hardgate.records import Measurement


def recompute(outcomes: Outcomes, *, classes: int) -> dict[str, Measurement]:
    """Measure everything that the outcomes alone can say.

    Parameters
    ----------
    classes
        How many the model tells apart. AUCs are recomputed for two: the true class's probability
        then says the other's, as far as a float32 tells probabilities apart.
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
    return found | (_aucs(outcomes) if classes == 2 else {})


def can_recompute(name: str, *, classes: int) -> bool:
    """Tell whether a measurement of this name must follow from the outcomes."""
    first, last = name.split("/")[0], name.split("/")[-1]
    if first == "attack_success":
        return True
    return first in {"clean", "robust"} and (last == "accuracy" or (last == "auc" and classes == 2))


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


def _aucs(outcomes: Outcomes) -> dict[str, Measurement]:
    found = {measurements.clean("auc"): _auc_of(outcomes, outcomes.clean)}
    for name, attack in outcomes.attacks.items():
        found[measurements.robust(name, "auc")] = _auc_of(outcomes, attack)
    if outcomes.attacks:
        least = np.minimum.reduce(
            [outcomes.clean.probabilities, *(a.probabilities for a in outcomes.attacks.values())]
        )
        every = _attacked_by_all(outcomes)
        worst = Answers(every, outcomes.clean.inputs, outcomes.clean.predictions, least)
        found[measurements.robust(measurements.WORST_CASE, "auc")] = _auc_of(outcomes, worst)
    return {name: measured for name, measured in found.items() if measured is not None}


def _auc_of(outcomes: Outcomes, said: Answers) -> Measurement | None:
    """Measure one AUC, unless a class has fewer than two attacked samples."""
    labels = outcomes.labels[said.known]
    if np.bincount(labels, minlength=2).min() < 2:
        return None
    true = said.probabilities[said.known].astype(np.float64)
    positive = np.where(labels == 1, true, 1 - true)
    return quality.auc(labels, np.stack([1 - positive, positive], axis=1))
