"""Adversarial copies: worst cases found on a model that was not made for them.

Szegedy, C. et al. (2014), "Intriguing properties of neural networks", arXiv:1312.6199; that they
transfer between models: Papernot, N. et al. (2016), arXiv:1605.07277.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from hardgate import progress
from hardgate.attacks import Attack
from hardgate.augmentations.context import Added, Context, choose, made, torch_generator
from hardgate.records import InputSpec, Rate, Record
from hardgate.samples import Samples, as_floats
from hardgate.threat import Threat


class Adversarial(Record):
    """Copies moved by an attack on the surrogate, within the threat model, label kept."""

    kinds: ClassVar[frozenset[Literal["table", "images"]]] = frozenset({"table", "images"})
    name: Literal["adversarial"]
    share: Rate
    attack: Attack
    batch_size: PositiveInt = 500

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Refuse an attack that is not made for this data or threat."""
        self.attack.check(spec, threat)

    def augment(self, samples: Samples, context: Context, generator: np.random.Generator) -> Added:
        """Attack a share of the samples; drop those that did not move or left the threat model."""
        chosen = choose(samples, self.share, generator)
        draws = torch_generator(generator)
        return against(
            self.attack,
            context.surrogate(),
            chosen,
            context,
            draws,
            batch_size=self.batch_size,
            error="surrogate_error",
        )


def against(
    attack: Attack,
    model: nn.Module,
    chosen: Samples,
    context: Context,
    draws: torch.Generator,
    *,
    batch_size: int,
    error: str,
) -> Added:
    """Attack samples on a model, and tell under the name ``error`` how often it then errs."""
    moved, flipped, admitted = torch.empty_like(chosen.inputs), [], []
    index = torch.split(torch.arange(len(chosen)), batch_size)
    for batch in progress.track(index, f"adversarial {attack.name}"):
        moved[batch], wrong, good = _batch(attack, model, chosen.take(batch), context, draws)
        flipped.append(wrong)
        admitted.append(good)
    same = (moved == chosen.inputs) | (moved.isnan() & chosen.inputs.isnan())
    still = same.flatten(1).all(1)
    kept = torch.cat([*admitted, still[:0]]) & ~still
    return Added(
        made(moved[kept], chosen.labels[kept]),
        {"unmoved": int(still.sum()), "not admissible": int((~kept & ~still).sum())},
        {error: float(torch.cat(flipped).float().mean()) if flipped else 0.0},
    )


def _batch(
    attack: Attack, model: nn.Module, batch: Samples, context: Context, draws: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Give moved inputs as they are stored, where the model errs, and what is admissible."""
    clean, labels = batch.floats().to(context.device), batch.labels.to(context.device)
    found = attack.perturb(model, clean, labels, context.threat, context.region, generator=draws)
    stored = _towards_clean(found.cpu(), batch.inputs)
    again = as_floats(stored).to(context.device)
    with torch.no_grad():
        wrong = model(again).argmax(1) != labels
    return stored, wrong.cpu(), context.region.admits(again, clean).cpu()


def _towards_clean(found: Tensor, clean: Tensor) -> Tensor:
    """Round to 1/255 steps where pixels are kept so; towards clean, so as not to leave the ball."""
    if clean.dtype != torch.uint8:
        return found.to(clean.dtype)
    steps = ((found - as_floats(clean)) * 255 * (1 + 1e-5)).trunc()
    return (clean + steps).clamp_(0, 255).to(torch.uint8)
