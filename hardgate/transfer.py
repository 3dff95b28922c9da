"""Attacks crafted on a surrogate and tried on the candidate: what an attacker needs no access for.

Papernot et al. (2016), "Transferability in machine learning", arXiv:1605.07277. The surrogate is
the candidate's undefended twin: the same architecture, and trained on the same data, which is more
than an attacker can hope to have. An input that falls to transfer and to no attack that sees the
candidate's gradients says that the gradients are masked: Athalye, Carlini and Wagner (2018),
arXiv:1802.00420.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hardgate import robustness
from hardgate.attacks import Attack, flat
from hardgate.attacks.ascent import frozen, margin
from hardgate.records import Record
from hardgate.region import Region
from hardgate.robustness import Outcome
from hardgate.threat import Threat

NAME = "transfer"


class Transfer(Record):
    """The attack that is run on the surrogate; all attacked test samples are."""

    attack: Attack


def measure(
    attack: Attack,
    threat: Threat,
    region: Region,
    surrogate: nn.Module,
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    seed: int,
    batch_size: int,
) -> Outcome:
    """Craft on the surrogate, try on the model, and keep the worse of clean and crafted.

    Parameters
    ----------
    attack
        One that goes on after the surrogate errs (``pgd``) transfers better than one that stops.

    Returns
    -------
    Outcome
        Of the model; ``survives`` tells which samples it gets right clean and crafted.
    """
    crafted = robustness.measure(
        attack,
        threat,
        region,
        surrogate,
        inputs,
        labels,
        seed=seed,
        batch_size=batch_size,
        attack_all=True,
        step=f"{NAME}: {attack.name}",
    ).adversarial.to(inputs)
    with frozen(model):
        clean, attacked = (_answers(model, each, batch_size) for each in (inputs, crafted))
    worse = margin(attacked, labels) < margin(clean, labels)
    shape = worse.view(-1, *[1] * (inputs.dim() - 1))
    adversarial = torch.where(shape, crafted, inputs)
    logits = torch.where(worse.unsqueeze(1), attacked, clean)
    return robustness.outcome(adversarial.cpu(), logits.cpu(), labels.cpu())


def beats_white_box(
    transferred: Outcome,
    attacks: Sequence[Attack],
    threat: Threat,
    region: Region,
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    seed: int,
    batch_size: int,
) -> Tensor:
    """Tell which samples fall to transfer and to no white-box attack, shape ``(n,)``.

    Those that are misclassified clean fell to neither. Few are left, so that this is quick.
    """
    with frozen(model):
        correct = _answers(model, inputs, batch_size).argmax(dim=1) == labels
    left = correct.cpu() & ~transferred.survives
    for attack in flat(attacks):
        if attack.access == "white-box" and left.any():
            rows = left.nonzero().flatten()
            chosen = rows.to(inputs.device)
            left[rows] = robustness.measure(
                attack,
                threat,
                region,
                model,
                inputs[chosen],
                labels[chosen],
                seed=seed,
                batch_size=batch_size,
                step=f"{NAME}: {attack.name}",
            ).survives
    return left


def _answers(model: nn.Module, inputs: Tensor, batch_size: int) -> Tensor:
    return torch.cat([robustness.answers(model, part) for part in torch.split(inputs, batch_size)])
