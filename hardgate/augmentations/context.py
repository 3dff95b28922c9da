"""What every augmentation is given besides the samples, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hardgate.errors import ContractError
from hardgate.records import ImageInput, InputSpec, TableInput
from hardgate.region import Region
from hardgate.samples import Samples
from hardgate.threat import Threat


@dataclass(frozen=True)
class Context:
    """The data's description, the threat, and a model to attack and to ask for labels.

    ``surrogate`` gives a standard-trained model; it is trained at the first call, so that
    augmentations without need of it cost nothing.
    """

    spec: InputSpec
    threat: Threat
    region: Region
    surrogate: Callable[[], nn.Module]
    device: torch.device
    earlier: Sequence[nn.Module] = ()  # earlier versions that take today's inputs, newest first

    @property
    def table(self) -> TableInput:
        """The description of a table's columns."""
        if not isinstance(self.spec, TableInput):
            raise ContractError("this augmentation is for tables; the data are images")
        return self.spec

    @property
    def images(self) -> ImageInput:
        """The description of images."""
        if not isinstance(self.spec, ImageInput):
            raise ContractError("this augmentation is for images; the data are a table")
        return self.spec


@dataclass(frozen=True)
class Added:
    """What one augmentation made: the samples, how many it dropped by reason, and remarks."""

    samples: Samples
    dropped: Mapping[str, int] = field(default_factory=dict)
    detail: Mapping[str, float] = field(default_factory=dict)


def made(inputs: Tensor, labels: Tensor) -> Samples:
    """Wrap made inputs; they come from no row of the raw file."""
    return Samples(inputs, labels, torch.full_like(labels, -1))


def joined(parts: Sequence[Samples]) -> Samples:
    """Put samples one after the other."""
    return Samples(
        torch.cat([part.inputs for part in parts]),
        torch.cat([part.labels for part in parts]),
        torch.cat([part.rows for part in parts]),
    )


def choose(samples: Samples, share: float, generator: np.random.Generator) -> Samples:
    """Draw a share of the samples, without repetition."""
    count = round(share * len(samples))
    return samples.take(torch.from_numpy(generator.permutation(len(samples))[:count]))


def as_stored(images: Tensor, like: Tensor) -> Tensor:
    """Round images in [0, 1] to 1/255 steps where the given samples are kept so."""
    if like.dtype != torch.uint8:
        return images.to(like.dtype)
    return (images * 255).round().to(torch.uint8)


def torch_generator(generator: np.random.Generator) -> torch.Generator:
    """Derive a generator for torch, always on the CPU, so that devices share their draws."""
    return torch.Generator().manual_seed(int(generator.integers(2**62)))


def class_counts(labels: Tensor, classes: int) -> NDArray[np.int64]:
    """Count each class."""
    return np.bincount(labels.numpy(), minlength=classes)
