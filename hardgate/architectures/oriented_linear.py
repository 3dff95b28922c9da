"""Edges of fixed orientations, pooled, and one linear layer: all that is learnt.

Few weights are found in few noisy steps, so this suits training with privacy: Tramèr and Boneh
(2021), "Differentially private learning needs better features (or much more data)",
arXiv:2011.11660, with a scattering network in the place of ours. The kernels are derivatives of a
Gaussian, first (an edge) and second (a line): Freeman and Adelson (1991), "The design and use of
steerable filters". They are the same for all data, and so tell nothing of any.
"""

from __future__ import annotations

from math import pi
from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from hardgate.architectures.inputs import Normalise, constant, only_images, pooled
from hardgate.records import InputSpec, Record

EDGES = 8  # directions; a line has half as many, for it looks alike from both sides
POOLED = 4  # pixels, in height and width
REACH = 3  # deviations of the Gaussian


class OrientedLinear(Record):
    """Kernels of a Gaussian ``width`` pixels wide; features are ``gain`` times as large as pixels.

    A larger gain is a larger step of the weights for the same gradient, and so also a learning
    rate.
    """

    name: Literal["oriented-linear"]
    width: PositiveFloat = 1.0
    gain: PositiveFloat = 16.0

    def build(self, spec: InputSpec) -> nn.Module:
        """Build the untrained network."""
        images = only_images(spec, self.name)
        places = pooled(images, self.name)
        channels = images.shape[0]
        kernels = self.gain * _kernels(self.width)
        features = channels * len(kernels)
        average = torch.full((features, 1, POOLED, POOLED), 1 / POOLED**2)
        return nn.Sequential(
            Normalise(images),
            Fixed(channels, kernels.repeat(channels, 1, 1, 1), padding=kernels.shape[-1] // 2),
            nn.ReLU(),
            Fixed(features, average, stride=POOLED),
            nn.Flatten(),
            nn.Linear(features * places, len(images.classes)),
        )


class Fixed(nn.Conv2d):
    """A convolution of each channel by itself with kernels that are no weights."""

    weight: Tensor

    def __init__(
        self, channels: int, kernels: Tensor, *, stride: int = 1, padding: int = 0
    ) -> None:
        size = kernels.shape[-1]
        super().__init__(channels, len(kernels), size, stride, padding, groups=channels, bias=False)
        del self.weight
        constant(self, "weight", kernels)


def _kernels(width: float) -> Tensor:
    """Make the kernels, shape ``(12, 1, size, size)``, each of length 1 in the sum of sizes."""
    reach = round(REACH * width)
    at = torch.arange(-reach, reach + 1) / width
    y, x = torch.meshgrid(at, at, indexing="ij")
    bell = torch.exp(-(x**2 + y**2) / 2)

    def along(turn: float) -> Tensor:
        angle = torch.tensor(turn * pi)
        return torch.cos(angle) * x + torch.sin(angle) * y

    edges = [along(2 * n / EDGES) * bell for n in range(EDGES)]
    lines = [(1 - along(2 * n / EDGES) ** 2) * bell for n in range(EDGES // 2)]
    kernels = torch.stack([*edges, *(line - line.mean() for line in lines)])
    return (kernels / kernels.abs().sum((1, 2), keepdim=True)).unsqueeze(1)
