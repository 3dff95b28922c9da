"""Generated samples: a small conditional GAN of our own, and a judge of what it made.

A GAN is told which label to draw, but does not always do so. Hence every sample is shown to the
surrogate, which has never seen a made one: it is kept only if the surrogate is sure of the label.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from hardgate import progress
from hardgate.augmentations import tables
from hardgate.augmentations.codec import Codec
from hardgate.augmentations.context import Added, Context, as_stored, joined, made, torch_generator
from hardgate.augmentations.game import Rules, play
from hardgate.augmentations.makers import (
    PACK,
    ImageCritic,
    ImageMaker,
    TableCritic,
    TableMaker,
)
from hardgate.errors import ParamsError
from hardgate.records import ImageInput, InputSpec, Rate, Record
from hardgate.samples import Samples, as_floats
from hardgate.threat import Threat

LEARNT_FROM = 50_000  # samples at most
ROUNDS = 4  # of drawing, to replace what the judge dropped
DRAWN_AT_ONCE = 1000
UNITS_PER_CHANNEL = 16

Draw = Callable[[Tensor], Tensor]


class Gan(Record):
    """Samples drawn by a GAN for labels as frequent as in the training split.

    ``confidence`` is the probability that the surrogate must give the label; ``slope`` weighs the
    penalty on the critic's slope; ``width`` counts the units of each layer.
    """

    kinds: ClassVar[frozenset[Literal["table", "images"]]] = frozenset({"table", "images"})
    name: Literal["gan"]
    share: Rate
    steps: PositiveInt
    confidence: Rate
    batch_size: Annotated[int, Field(ge=PACK, multiple_of=PACK)]
    rate: Annotated[float, Field(gt=0)]
    width: Annotated[int, Field(ge=UNITS_PER_CHANNEL, multiple_of=UNITS_PER_CHANNEL)]
    latent: PositiveInt = 32
    slope: Annotated[float, Field(ge=0)] = 1.0

    def check(self, spec: InputSpec, threat: Threat) -> None:  # noqa: ARG002  one interface
        """Refuse images that two strided convolutions would leave nothing of."""
        if isinstance(spec, ImageInput) and min(spec.shape[1:]) < 4:
            raise ParamsError(
                f"augmentation: gan needs images of 4 x 4 pixels or more, these have {spec.shape}"
            )

    def augment(self, samples: Samples, context: Context, generator: np.random.Generator) -> Added:
        """Train the GAN, draw, and keep what the surrogate confirms."""
        order = generator.permutation(len(samples))[:LEARNT_FROM]
        known = samples.take(torch.from_numpy(order))
        if isinstance(context.spec, ImageInput):
            draw = self._images(known, context, generator)
        else:
            draw = self._table(known, context, generator)
        return self._confirmed(draw, samples, context, generator)

    def _table(self, known: Samples, context: Context, generator: np.random.Generator) -> Draw:
        """Train on rows; give a function that draws a row per label."""
        codec = Codec.of(known.inputs, context.table)
        codes = codec.encode(known.inputs, generator)
        classes = len(context.table.classes)
        maker = TableMaker(
            codec.ranks, codec.choices, classes, latent=self.latent, width=self.width
        )
        critic = TableCritic(codec.width, classes, width=self.width)
        drawn = self._play(maker, critic, lambda i: codes[i], known, context, generator)
        return lambda labels: codec.decode(drawn(labels))

    def _images(self, known: Samples, context: Context, generator: np.random.Generator) -> Draw:
        """Train on images; give a function that draws an image per label."""
        maker = ImageMaker(context.images, latent=self.latent, width=self.width)
        critic = ImageCritic(context.images, width=self.width // UNITS_PER_CHANNEL)
        drawn = self._play(
            maker, critic, lambda i: as_floats(known.inputs[i]), known, context, generator
        )
        return lambda labels: as_stored(drawn(labels), known.inputs)

    def _play(
        self,
        maker: nn.Module,
        critic: nn.Module,
        reals: Callable[[Tensor], Tensor],
        known: Samples,
        context: Context,
        generator: np.random.Generator,
    ) -> Draw:
        rules = Rules(self.steps, self.batch_size, self.rate, self.slope)
        draws, device = torch_generator(generator), context.device
        kept = play(maker, critic, reals, known.labels, rules, generator=draws, device=device)

        def draw(labels: Tensor) -> Tensor:
            with torch.no_grad():
                drawn: Tensor = kept(labels.to(device), draws)
            return drawn.cpu()

        return draw

    def _confirmed(
        self, draw: Draw, samples: Samples, context: Context, generator: np.random.Generator
    ) -> Added:
        """Draw until enough samples are confirmed, or the rounds are over."""
        wanted = round(self.share * len(samples))
        rules = _standing(samples, context)
        parts, drawn, unsure, broken, kept = [], 0, 0, 0, 0
        for _ in progress.track(range(ROUNDS), "gan drawing"):
            if kept == wanted:
                break
            lots = generator.integers(0, len(samples), wanted - kept)
            for labels in torch.split(samples.labels[torch.from_numpy(lots)], DRAWN_AT_ONCE):
                inputs = draw(labels)
                whole, sure = rules(inputs), self._sure(inputs, labels, context)
                parts.append(made(inputs[whole & sure], labels[whole & sure]))
                drawn += len(labels)
                broken += int((~whole).sum())
                unsure += int((whole & ~sure).sum())
                kept += len(parts[-1])
        return Added(
            joined([samples.take(torch.arange(0)), *parts]),
            {"label not confirmed": unsure, "breaks a relation": broken},
            {"confirmed": 1 - unsure / max(1, drawn - broken)},
        )

    def _sure(self, inputs: Tensor, labels: Tensor, context: Context) -> Tensor:
        """Tell which samples the surrogate gives their label with confidence."""
        judge = context.surrogate()  # trained here, if at all: not without gradients
        with torch.no_grad():
            logits = judge(as_floats(inputs).to(context.device)).cpu()
        given: Tensor = logits.softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1)
        return given >= self.confidence


def _standing(samples: Samples, context: Context) -> Callable[[Tensor], Tensor]:
    """Give the check that a made row keeps the relations that every training row keeps."""
    if isinstance(context.spec, ImageInput):
        return lambda inputs: torch.ones(len(inputs), dtype=torch.bool)
    relations = tables.Relations.of(context.threat, context.table)
    always = relations.kept(samples.inputs).all(0)
    return lambda inputs: (relations.kept(inputs) | ~always).all(1)
