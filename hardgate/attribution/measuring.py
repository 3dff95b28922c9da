"""The measurements of an explanation, from the trials of its attributions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from hardgate import statistics
from hardgate.attribution import reference, trials
from hardgate.attribution.subject import Subject
from hardgate.attribution.trials import Array, Deletion
from hardgate.errors import ContractError
from hardgate.measurements import Property
from hardgate.records import Measurement

# Maps clean inputs and their labels to adversarial inputs within the threat model.
Perturb = Callable[[Tensor, Tensor], Tensor]

FEWEST_RANKED = 3  # with two features a rank correlation is 1 or -1, whatever they are


def delete(subject: Subject, contributions: Array) -> Deletion:
    """Delete features of all samples, as the params say."""
    asked = subject.params.deletion
    return trials.delete(
        subject.score,
        subject.inputs,
        subject.background[: asked.background],
        subject.classes,
        features=subject.features,
        contributions=contributions,
        steps=asked.steps,
        orders=asked.orders,
        seed=subject.seed,
    )


def importance(subject: Subject, contributions: Array) -> dict[str, Measurement]:
    """Measure the mean absolute attribution of every feature."""

    def pick(column: int) -> Callable[[Array], Array]:
        return lambda means: means[..., column]

    picks = {name: pick(column) for column, name in enumerate(subject.features.names)}
    return statistics.bootstrap_means(np.abs(contributions), picks, seed=subject.seed)


def additivity(
    subject: Subject, contributions: Array, outputs: Array, starts: Array
) -> dict[Property, Measurement]:
    """Measure what the attributions miss: at worst, and in the mean."""
    missed = trials.additivity(contributions, outputs, starts)
    return {
        "additivity_error": statistics.exact(float(missed.max()), len(missed)),
        "additivity_error_mean": subject.mean(missed),
    }


def under_noise(subject: Subject, values: Array) -> dict[Property, Measurement]:
    """Measure stability under noise; without any that moved, nothing."""
    clean = subject.inputs[: subject.params.stability]
    moved = trials.noisy(clean, subject.spec, noise=subject.params.noise, seed=subject.seed)
    return _stability(
        subject, values, clean, moved, ("rank_stability_noise", "cosine_stability_noise")
    )


def under_attack(
    subject: Subject, values: Array, labels: Tensor, perturb: Perturb | None
) -> dict[Property, Measurement]:
    """Measure stability under attack; without one, or any that moved, nothing."""
    if perturb is None:
        return {}
    clean = subject.inputs[: subject.params.stability]
    moved = perturb(clean.clone(), labels[: len(clean)]).detach().cpu()
    if moved.shape != clean.shape or not torch.equal(moved.isnan(), clean.isnan()):
        raise ContractError(
            f"the attack returns shape {tuple(moved.shape)} for {tuple(clean.shape)}, or other "
            "missing cells; it must change values only"
        )
    return _stability(
        subject, values, clean, moved, ("rank_stability_attack", "cosine_stability_attack")
    )


def _stability(
    subject: Subject,
    values: Array,
    clean: Tensor,
    moved: Tensor,
    names: tuple[Property, Property],
) -> dict[Property, Measurement]:
    """Compare attributions before and after, of the samples that moved at all."""
    changed = ((moved != clean) & ~clean.isnan()).flatten(1).any(dim=1).numpy()
    if not changed.any():
        return {}
    before = subject.by_feature(values[: len(clean)])[changed]
    after = subject.by_feature(subject.attribute(moved))[changed]
    return {
        names[0]: subject.mean(trials.rank_agreement(before, after)),
        names[1]: subject.mean(trials.cosine(before, after)),
    }


def agreement(subject: Subject, contributions: Array, second: Array) -> dict[Property, Measurement]:
    """Compare with the second opinion, on the features that have one."""
    shared = subject.features.continuous.numpy()
    if shared.sum() < FEWEST_RANKED:
        return {}
    opinion = subject.by_feature(second)[:, shared]
    agreement = trials.rank_agreement(contributions[:, shared], opinion)
    return {"second_opinion": subject.mean(agreement)}


def refereed(subject: Subject, values: Array) -> dict[Property, Measurement]:
    """Compare with the shap library on the first samples."""
    count = subject.params.reference
    if count == 0:
        return {}
    theirs = reference.values(
        subject.score,
        subject.inputs[:count],
        subject.background,
        subject.classes[:count],
        seed=subject.seed,
    )
    similar = trials.cosine(subject.by_feature(values[:count]), subject.by_feature(theirs))
    return {"reference_agreement": subject.mean(similar)}
