"""Corruptions for images: what the world does to a picture, learnt beforehand."""

from __future__ import annotations

from itertools import product
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from hardgate import corruptions, progress
from hardgate.augmentations.context import Added, Context, as_stored, choose, made
from hardgate.records import InputSpec, Rate, Record
from hardgate.samples import Samples, as_floats
from hardgate.threat import Threat

Severity = Annotated[int, Field(ge=1, le=5)]


class Corruption(Record):
    """Copies, each with one of the named corruptions at one of the severities, by lot."""

    kinds: ClassVar[frozenset[Literal["table", "images"]]] = frozenset({"images"})
    name: Literal["corruption"]
    share: Rate
    names: tuple[corruptions.Name, ...] = Field(default=corruptions.NAMES, min_length=1)
    severities: tuple[Severity, ...] = Field(min_length=1)

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Every image can be corrupted."""

    def augment(
        self,
        samples: Samples,
        context: Context,  # noqa: ARG002  one interface for all members
        generator: np.random.Generator,
    ) -> Added:
        """Corrupt a share of the images."""
        chosen = choose(samples, self.share, generator)
        pairs = list(product(self.names, self.severities))
        lots = torch.from_numpy(generator.integers(0, len(pairs), len(chosen)))
        inputs = torch.empty_like(chosen.inputs)
        counts = {str(name): 0.0 for name in self.names}
        for lot, (name, severity) in enumerate(progress.track(pairs, "corruption")):
            index = (lots == lot).nonzero().flatten()
            images = as_floats(chosen.inputs[index])
            corrupted = corruptions.corrupt(name, images, severity, generator)
            inputs[index] = as_stored(corrupted, chosen.inputs)
            counts[name] += len(index)
        return Added(made(inputs, chosen.labels), detail=counts)
