"""A wider and deeper network: four 3 x 3 convolutions and two hidden layers.

The shape is the MNIST network of Zhang, Yu, Jiao, Xing, El Ghaoui and Jordan (2019), "Theoretically
principled trade-off between robustness and accuracy", arXiv:1901.08573, with twice its channels:
adversarial training asks for more capacity than clean accuracy does.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt
from torch import nn

from hardgate.architectures.inputs import Normalise, only_images, pooled
from hardgate.records import InputSpec, Rate, Record


class WideCNN(Record):
    """Two pairs of 3 x 3 convolutions, each pooled, the second pair twice as wide."""

    name: Literal["wide-cnn"]
    channels: PositiveInt = 64
    hidden: PositiveInt = 200
    dropout: Rate = 0.0

    def build(self, spec: InputSpec) -> nn.Module:
        """Build the untrained network."""
        images = only_images(spec, self.name)
        return nn.Sequential(
            Normalise(images),
            *_pair(images.shape[0], self.channels),
            *_pair(self.channels, 2 * self.channels),
            nn.Flatten(),
            nn.Linear(2 * self.channels * pooled(images, self.name), self.hidden),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, len(images.classes)),
        )


def _pair(before: int, after: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(before, after, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
