"""What an attack makes of a model: the worst input found per sample, and what the model says to it.

A clean input is part of its own region. It counts as found, so that an attack can only lower the
accuracy: a sample survives when the model is right about it clean *and* under attack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from hardgate import measurements, progress, statistics
from hardgate.attacks import Attack
from hardgate.attacks.ascent import frozen, margin
from hardgate.errors import ContractError
from hardgate.records import Measurement
from hardgate.region import Region
from hardgate.threat import Threat


@dataclass(frozen=True)
class Outcome:
    """The worst input found per sample, and the model's answer to it; all on the CPU."""

    adversarial: Tensor  # (n, ...)
    predictions: Tensor  # (n,), int64
    probabilities: Tensor  # (n, k)
    survives: Tensor  # (n,), bool: still classified correctly


def measure(
    attack: Attack,
    threat: Threat,
    region: Region,
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    seed: int,
    batch_size: int,
    attack_all: bool = False,
    step: str = "",
) -> Outcome:
    """Attack every sample and keep the worst that was found.

    Parameters
    ----------
    inputs, labels
        On the model's device.
    seed
        Each batch has its own generator, so that one can be repeated without those before it.
    attack_all
        Also attack samples the model gets wrong: needed where scores count, as in an AUC.
    step
        What to call it in the progress; the attack's name if empty.

    Raises
    ------
    ContractError
        If the attack returns an input that the region does not admit, or the model anything
        but finite logits.
    """
    if len(inputs) != len(labels) or len(labels) == 0:
        raise ContractError(f"{len(inputs)} inputs and {len(labels)} labels cannot be attacked")
    batches = list(
        zip(torch.split(inputs, batch_size), torch.split(labels, batch_size), strict=True)
    )
    adversarial, logits = [], []
    with frozen(model), interruptible(model):
        for index, (clean, truth) in enumerate(progress.track(batches, step or attack.name)):
            search = partial(attack.perturb, generator=generator(seed, index))
            found, answers = _worst(
                search, threat, region, model, clean, truth, attack_all=attack_all
            )
            adversarial.append(found.cpu())
            logits.append(answers.cpu())
    return outcome(torch.cat(adversarial), torch.cat(logits), labels.cpu())


@contextmanager
def interruptible(model: nn.Module) -> Iterator[None]:
    """Look for Ctrl-C whenever the model is asked: a batch can take half a minute."""
    hook = model.register_forward_pre_hook(lambda *_: progress.heed())
    try:
        yield
    finally:
        hook.remove()


def generator(seed: int, batch: int) -> torch.Generator:
    """Give the generator of one batch."""
    mixed = int(np.random.SeedSequence([seed, batch]).generate_state(1)[0])
    return torch.Generator().manual_seed(mixed)


def _worst(
    search: Callable[..., Tensor],
    threat: Threat,
    region: Region,
    model: nn.Module,
    clean: Tensor,
    labels: Tensor,
    *,
    attack_all: bool,
) -> tuple[Tensor, Tensor]:
    """Give the worst inputs of one batch, and the logits of each."""
    worst, logits = clean.clone(), answers(model, clean)
    chosen = torch.arange(len(clean), device=clean.device)
    if not attack_all:
        chosen = chosen[logits.argmax(dim=1) == labels]
    if len(chosen) == 0:
        return worst, logits
    found = search(model, clean[chosen], labels[chosen], threat, region)
    if found.shape != clean[chosen].shape or not bool(region.admits(found, clean[chosen]).all()):
        raise ContractError(
            "an attack returned inputs outside the threat model; nothing it found is evidence"
        )
    said = answers(model, found)
    worse = margin(said, labels[chosen]) < margin(logits[chosen], labels[chosen])
    worst[chosen[worse]] = found[worse]
    logits[chosen[worse]] = said[worse]
    return worst, logits


def answers(model: nn.Module, inputs: Tensor) -> Tensor:
    """Ask for logits, shape ``(n, k)``, without gradients.

    Raises
    ------
    ContractError
        If one is not a finite number: such an answer is neither right nor wrong.
    """
    with torch.no_grad():
        logits: Tensor = model(inputs)
    if not bool(logits.isfinite().all()):
        raise ContractError(
            "the model answered an input of the threat model with NaN or infinity; "
            "expected finite logits, so that every answer is right or wrong"
        )
    return logits


def outcome(adversarial: Tensor, logits: Tensor, labels: Tensor) -> Outcome:
    """Make an outcome of the worst inputs and the logits the model answers them with."""
    predictions = logits.argmax(dim=1)
    return Outcome(
        adversarial=adversarial,
        predictions=predictions,
        probabilities=torch.softmax(logits, dim=1),
        survives=predictions == labels,
    )


def security_curve(
    attack: Attack,
    threat: Threat,
    region: Region,
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    factors: Sequence[float],
    seed: int,
    batch_size: int,
) -> dict[str, Measurement]:
    """Measure the accuracy under one attack at multiples of the threat's radius.

    Each point is searched by itself, with steps in proportion, so that a curve that rises is seen.
    """
    found = {}
    for factor in factors:
        found_there = measure(
            attack.scaled(factor),
            threat,
            region.scaled(factor),
            model,
            inputs,
            labels,
            seed=seed,
            batch_size=batch_size,
            step=f"{attack.name} at {factor:g} eps",
        )
        found[measurements.curve(factor)] = statistics.share(found_there.survives.numpy())
    return found
