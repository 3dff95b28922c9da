"""A ladder of attacks measured as one: the worst case per sample, and what each rung added to it.

Cheap attacks come first, and only what survives them meets the dear ones. The accuracy at the foot
of the ladder is that of the worst case, the same as if every attack had seen every sample. What a
rung would have found alone is not known: only what it added is measured, and called so.

:func:`measure` is report mode, on all samples; :func:`judge` is gate mode, which stops as soon as
it is sure whether report mode would reach the bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hardgate import measurements, robustness, sequential, statistics
from hardgate.attacks import Cascade
from hardgate.attacks.ascent import ascend, frozen, margin
from hardgate.errors import ContractError
from hardgate.records import Measurement
from hardgate.region import Region
from hardgate.robustness import Outcome
from hardgate.sequential import Answer
from hardgate.threat import Threat

SCOUTING = 5  # steps, each of a third of eps


@dataclass(frozen=True)
class Ladder:
    """What the rungs did together; ``fell_to`` holds each sample's rung, counted from 0.

    :data:`STANDS` marks survivors, :data:`MISTAKEN` samples that needed no attack to be wrong.
    """

    worst: Outcome
    fell_to: Tensor  # (n,), int64
    rungs: tuple[str, ...]

    def added(self) -> dict[str, Measurement]:
        """Measure, per rung, the share of all samples that fell to it and to none before."""
        return {
            measurements.added(name): statistics.share((self.fell_to == number).numpy())
            for number, name in enumerate(self.rungs)
        }


STANDS, MISTAKEN = -1, -2


def measure(
    ladder: Cascade,
    threat: Threat,
    region: Region,
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    seed: int,
    batch_size: int,
    certified: Tensor | None = None,
) -> Ladder:
    """Send every sample up the ladder until it falls.

    Parameters
    ----------
    inputs, labels
        On the model's device.
    certified
        Samples proven correct on their whole region, shape ``(n,)``, bool: no attack can succeed
        on them, and none is tried.

    Raises
    ------
    ContractError
        As :func:`hardgate.robustness.measure`; or if a certified sample is misclassified clean,
        which would make the proof a false one.
    """
    logits = _answers(model, inputs, batch_size)
    correct = logits.argmax(dim=1) == labels
    proven = _proven(certified, correct)
    worst = robustness.outcome(inputs.cpu().clone(), logits.cpu(), labels.cpu())
    fell_to = torch.where(correct, STANDS, MISTAKEN).cpu()
    for number, rung in enumerate(ladder.rungs):
        left = ((fell_to == STANDS) & ~proven.cpu()).nonzero().flatten()
        if len(left) == 0:
            break
        chosen = left.to(inputs.device)
        found = robustness.measure(
            rung,
            threat,
            region,
            model,
            inputs[chosen],
            labels[chosen],
            seed=seed,
            batch_size=batch_size,
        )
        worst = _worse(worst, found, left, labels.cpu())
        fell_to[left[~found.survives]] = number
    return Ladder(worst, fell_to, tuple(rung.name for rung in ladder.rungs))


def _worse(worst: Outcome, found: Outcome, rows: Tensor, labels: Tensor) -> Outcome:
    """Put in what a rung found, where it leaves the label less than what was found before."""
    truth = labels[rows].unsqueeze(1)
    before = worst.probabilities[rows].gather(1, truth).squeeze(1)
    lower = ~found.survives | (found.probabilities.gather(1, truth).squeeze(1) < before)
    return Outcome(
        adversarial=worst.adversarial.index_copy(0, rows[lower], found.adversarial[lower]),
        predictions=worst.predictions.index_copy(0, rows[lower], found.predictions[lower]),
        probabilities=worst.probabilities.index_copy(0, rows[lower], found.probabilities[lower]),
        survives=worst.survives.index_copy(0, rows[lower], found.survives[lower]),
    )


def judge(
    ladder: Cascade,
    threat: Threat,
    region: Region,
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    bound: float,
    alpha: float,
    seed: int,
    batch_size: int,
    certified: Tensor | None = None,
) -> Answer:
    """Ask whether report mode would find the lower end of the robust accuracy at ``bound``.

    What is wrong as it is and what is proven are known, so the test is about the rest: whether
    enough of it stands. Five steps of a cheap attack guess which samples those are that fall, and
    :func:`hardgate.sequential.decide` asks about them first. Each error has a rate of ``alpha`` at
    most (of a retraining: :func:`hardgate.sequential.spend`).

    Raises
    ------
    ContractError
        As :func:`measure`.
    """

    def known(passes: bool) -> Answer:
        return Answer(passes=passes, successes=0, seen=0, samples=len(labels), alpha=alpha)

    required = sequential.needed(bound, len(labels))
    if required > len(labels):
        return known(passes=False)
    correct = _answers(model, inputs, batch_size).argmax(dim=1) == labels
    proven = _proven(certified, correct)
    left = (correct & ~proven).nonzero().flatten()
    required -= int(proven.sum())
    if required <= 0 or required > len(left):
        return known(passes=required <= 0)

    def stands(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        part = left[torch.from_numpy(numbers).to(left)]
        found = measure(
            ladder,
            threat,
            region,
            model,
            inputs[part],
            labels[part],
            seed=seed,
            batch_size=batch_size,
        )
        return found.worst.survives.numpy()

    near = _near(threat, region, model, inputs[left], labels[left], batch_size=batch_size)
    return sequential.decide(
        stands, near, required=required, alpha=alpha, generator=np.random.default_rng(seed)
    )


def _near(
    threat: Threat,
    region: Region,
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    batch_size: int,
) -> NDArray[np.float64]:
    """Say how near each sample is to another class, after a few steps towards it."""

    def nearness(inputs: Tensor, truth: Tensor) -> Tensor:
        return -margin(model(inputs), truth)

    found = []
    with frozen(model):
        for rows in torch.split(torch.arange(len(labels), device=labels.device), batch_size):
            truth = labels[rows]
            moved = ascend(
                partial(nearness, truth=truth),
                inputs[rows],
                region,
                step_size=threat.eps / 3,
                steps=SCOUTING,
                generator=torch.Generator(device=inputs.device),
                random_start=False,
            )
            with torch.no_grad():
                found.append(nearness(moved, truth))
    return torch.cat(found).double().cpu().numpy()


def _answers(model: nn.Module, inputs: Tensor, batch_size: int) -> Tensor:
    return torch.cat([robustness.answers(model, part) for part in torch.split(inputs, batch_size)])


def _proven(certified: Tensor | None, correct: Tensor) -> Tensor:
    """Tell what needs no attack.

    Raises
    ------
    ContractError
        If a certified sample is misclassified clean, which would make the proof a false one.
    """
    proven = torch.zeros_like(correct) if certified is None else certified.to(correct)
    if bool((proven & ~correct).any()):
        raise ContractError("a sample is certified, but misclassified as it is: the proof is false")
    return proven
