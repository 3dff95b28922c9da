"""What training looks at after an epoch: scores on held-out data, clean and attacked.

Rice, Wong and Kolter (2020), "Overfitting in adversarially robust deep learning",
arXiv:2002.11569: the best robust model is rarely the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from hardgate import statistics
from hardgate.attacks.ascent import ascend, frozen
from hardgate.certification import certify
from hardgate.defenses.losses import cross_entropy
from hardgate.monitors import Evaluated
from hardgate.records import Radius, Record
from hardgate.region import Region
from hardgate.samples import Samples

BATCH = 512
Score = Literal["accuracy", "balanced_accuracy", "auc"]
Perturb = Callable[[Tensor, Tensor], Tensor]


class EarlyStopping(Record):
    """How held-out robustness is watched, and for how many evaluations without a new best.

    ``score`` is what is watched; a table with a rare class wants ``auc`` (two classes) or
    ``balanced_accuracy``, because a model that never names the rare class is hard to attack.
    """

    every: PositiveInt  # epochs
    steps: PositiveInt
    step_size: Radius
    samples: PositiveInt
    patience: PositiveInt
    score: Score


@dataclass(frozen=True)
class Watched:
    """The samples that are looked at: some held out, and as many of the training split."""

    held_out: Samples
    train: Samples


def choose(
    params: EarlyStopping, *, corpus: Samples, held_out: Samples, generator: torch.Generator
) -> Watched:
    """Choose the samples to watch, once for the whole run."""
    return Watched(
        held_out=_some(held_out, params.samples, generator),
        train=_some(corpus, params.samples, generator),
    )


def evaluate(
    params: EarlyStopping,
    model: nn.Module,
    region: Region,
    watched: Watched,
    *,
    adversarial: bool,
    certifies: bool,
    device: torch.device,
    generator: torch.Generator,
) -> Evaluated:
    """Score a model; attacks and proofs only for a recipe that trains for them."""

    def pgd(inputs: Tensor, labels: Tensor) -> Tensor:
        loss = cross_entropy(model, labels)
        size, steps = params.step_size, params.steps
        return ascend(loss, inputs, region, step_size=size, steps=steps, generator=generator)

    def one_step(inputs: Tensor, labels: Tensor) -> Tensor:
        loss = cross_entropy(model, labels)
        return ascend(
            loss,
            inputs,
            region,
            step_size=region.eps,
            steps=1,
            generator=generator,
            random_start=False,
        )

    def scored(samples: Samples, perturb: Perturb) -> float:
        return score(_logits(model, samples, perturb, device), samples.labels, params.score)

    with frozen(model):
        return Evaluated(
            clean=scored(watched.held_out, _as_it_is),
            robust=scored(watched.held_out, pgd) if adversarial else None,
            one_step=scored(watched.train, one_step) if adversarial else None,
            certified=_certified(model, region, watched.held_out, device) if certifies else None,
        )


def score(logits: Tensor, labels: Tensor, kind: Score) -> float:
    """Score logits, shape ``(n, k)``, against labels, shape ``(n,)``; 1 is perfect."""
    if kind == "auc":
        return auc(logits[:, 1] - logits[:, 0], labels)
    right = logits.argmax(dim=1) == labels
    if kind == "accuracy":
        return right.float().mean().item()
    recalls = [right[labels == label].float().mean() for label in torch.unique(labels)]
    return torch.stack(recalls).mean().item()


def auc(ranking: Tensor, labels: Tensor) -> float:
    """Give the chance that a positive outranks a negative, ties counting half; 0.5 without both."""
    positives = int((labels == 1).sum())
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        return 0.5
    ranks = statistics.midranks(ranking.double().numpy())[(labels == 1).numpy()]
    return float(ranks.sum() - positives * (positives + 1) / 2) / (positives * negatives)


def _logits(model: nn.Module, samples: Samples, perturb: Perturb, device: torch.device) -> Tensor:
    """Give the logits for perturbed samples, on the CPU."""
    parts = []
    for inputs, labels in samples.batches(BATCH):
        perturbed = perturb(inputs.to(device), labels.to(device))
        with torch.no_grad():
            parts.append(model(perturbed).cpu())
    return torch.cat(parts)


def _certified(model: nn.Module, region: Region, samples: Samples, device: torch.device) -> float:
    """Give the share that intervals prove, whatever score is watched: it costs a few passes."""
    proven = [
        certify(model, region, inputs.to(device), labels.to(device), method="ibp", batch_size=BATCH)
        for inputs, labels in samples.batches(BATCH)
    ]
    return torch.cat(proven).float().mean().item()


def _as_it_is(inputs: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG001  a perturbation like any
    return inputs


def _some(samples: Samples, count: int, generator: torch.Generator) -> Samples:
    order = torch.randperm(len(samples), generator=generator)
    return samples.take(order[:count])
