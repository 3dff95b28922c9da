"""The network of the MNIST robustness challenge.

Madry, Makelov, Schmidt, Tsipras and Vladu (2018), "Towards deep learning models resistant to
adversarial attacks", arXiv:1706.06083: 5 x 5 convolutions of 32 and 64 channels with pooling, and
a linear layer of 1024 units.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt
from torch import nn

from hardgate.architectures.inputs import Normalise, only_images, pooled
from hardgate.records import InputSpec, Record


class MadryCNN(Record):
    """Two pooled 5 x 5 convolutions, the second twice as wide, and ``hidden`` units."""

    name: Literal["madry-cnn"]
    channels: PositiveInt = 32
    hidden: PositiveInt = 1024

    def build(self, spec: InputSpec) -> nn.Module:
        """Build the untrained network."""
        images = only_images(spec, self.name)
        return nn.Sequential(
            Normalise(images),
            nn.Conv2d(images.shape[0], self.channels, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(self.channels, 2 * self.channels, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * self.channels * pooled(images, self.name), self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, len(images.classes)),
        )
