"""Shadows: models like the candidate, each trained on a known half of the same samples.

Shokri et al. (2017), "Membership inference attacks against machine learning models",
arXiv:1610.05820. A shadow has the candidate's architecture, optimiser and schedule, and none of
its defence or augmentation: an adversarially trained shadow costs several times as much, and was
measured to calibrate an attack on an adversarially trained model no better. The halves come in
pairs, a random one and the rest, so that each sample is known to exactly half of the shadows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from hardgate import candidates, progress, seeding
from hardgate.defenses.recipe import Batch, Moment
from hardgate.defenses.standard import Standard
from hardgate.optimisation import Descent
from hardgate.records import Record
from hardgate.samples import Samples, as_floats
from hardgate.subject import Subject
from hardgate.training import Training

RECIPE = Standard(recipe="standard")


class Shadows(Record):
    """How many pairs of shadows, and for how long each is trained."""

    pairs: int = Field(ge=2)
    epochs: PositiveInt
    batch_size: PositiveInt


@dataclass(frozen=True)
class Shadow:
    """A model in evaluation mode, and which samples of the pool it was trained on."""

    model: nn.Module
    saw: Tensor


def train(
    params: Shadows, training: Training, subject: Subject, pool: Samples, sides: Tensor
) -> tuple[Shadow, ...]:
    """Train the shadows on halves of a pool.

    Parameters
    ----------
    sides
        A number for each sample, shape ``(n,)``. Every half has half of each side, so that what a
        shadow saw says nothing about the side.
    """
    generator = torch.Generator().manual_seed(subject.seed)
    halves = [half for _ in range(params.pairs) for half in _halves(sides, generator)]
    return tuple(
        Shadow(
            fit(
                training,
                subject,
                pool.take(saw.nonzero().squeeze(1)),
                epochs=params.epochs,
                batch_size=params.batch_size,
                seed=subject.seed + number,
            ),
            saw,
        )
        for number, saw in progress.track([*enumerate(halves)], "shadows")
    )


def fit(
    training: Training,
    subject: Subject,
    samples: Samples,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
) -> nn.Module:
    """Train one model like the candidate, without its defence; nothing is watched or kept."""
    generator = torch.Generator().manual_seed(seed)
    model = candidates.build(training.architecture, subject.spec, seed=seed)
    model = model.to(subject.device).train()
    dropout = seeding.of(model, seed, subject.device)
    descent = Descent(training.optimiser, model)
    for epoch in range(epochs):
        batches = torch.split(torch.randperm(len(samples), generator=generator), batch_size)
        for position, index in enumerate(batches):
            progress.heed()
            done = (epoch + (position + 0.5) / len(batches)) / epochs
            batch = Batch(
                model,
                as_floats(samples.inputs[index].to(subject.device)),
                samples.labels[index].to(subject.device),
                subject.region,
                generator,
                moment=Moment(done),
            )
            with dropout:
                loss = RECIPE.loss(batch)
            descent.forget()
            loss.backward()  # type: ignore[no-untyped-call]
            descent.step(factor=training.schedule.factor(done))
    return model.eval()


def _halves(sides: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw a half of each side, and give it and the rest, as masks."""
    half = torch.zeros(len(sides), dtype=torch.bool)
    for side in torch.unique(sides):
        (positions,) = torch.where(sides == side)
        order = torch.randperm(len(positions), generator=generator)
        half[positions[order[: len(positions) // 2]]] = True
    return half, ~half
