"""The small network of fast adversarial training: two strided convolutions, two linear layers.

Wong, Rice and Kolter (2020), "Fast is better than free: revisiting adversarial training",
arXiv:2001.03994. Strides instead of pooling keep it the quickest of the three on a CPU.

The first convolution, 4 x 4 with stride 2, is spelled as 2 x 2 over the four pixels of each 2 x 2
block: the same sums with the same weights, but the gradient with respect to the image, which every
step of every attack asks for, comes eight times faster than through one channel.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt
from torch import nn

from hardgate.architectures.inputs import Normalise, Saturate, only_images, pooled
from hardgate.records import InputSpec, Record


class SmallCNN(Record):
    """Two 4 x 4 convolutions of stride 2, the second twice as wide, and ``hidden`` units.

    ``saturate`` is the margin by which pixels may be grey and still count as black or white. It
    helps recipes that train for bounds and harms those that follow gradients, of which it leaves
    none at saturated pixels.
    """

    name: Literal["small-cnn"]
    channels: PositiveInt = 16
    hidden: PositiveInt = 100
    saturate: float = Field(0.0, ge=0, lt=0.5)

    def build(self, spec: InputSpec) -> nn.Module:
        """Build the untrained network."""
        images = only_images(spec, self.name)
        channels, height, width = images.shape
        saturating = [Saturate(self.saturate)] if self.saturate else []
        return nn.Sequential(
            *saturating,
            Normalise(images),
            nn.ZeroPad2d((1, 1 - width % 2, 1, 1 - height % 2)),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * channels, self.channels, 2),
            nn.ReLU(),
            nn.Conv2d(self.channels, 2 * self.channels, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * self.channels * pooled(images, self.name), self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, len(images.classes)),
        )
