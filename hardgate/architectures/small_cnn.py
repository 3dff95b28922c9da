"""The small network of fast adversarial training: two strided convolutions, two linear layers.

Wong, Rice and Kolter (2020), "Fast is better than free: revisiting adversarial training",
arXiv:2001.03994. Strides instead of pooling keep it the quickest of the three on a CPU.

The first convolution, 4 x 4 with stride 2, is spelled as 2 x 2 over the four pixels of each 2 x 2
block: the same sums with the same weights, but the gradient with respect to the image, which every
step of every attack asks for, comes eight times faster than through one channel.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt
from torch import nn

from hardgate.architectures.inputs import Normalise, only_images, pooled
from hardgate.records import InputSpec, Record


class SmallCNN(Record):
    """Two 4 x 4 convolutions of stride 2, the second twice as wide, and ``hidden`` units."""

    name: Literal["small-cnn"]
    channels: PositiveInt = 16
    hidden: PositiveInt = 100

    def build(self, spec: InputSpec) -> nn.Module:
        """Build the untrained network."""
        images = only_images(spec, self.name)
        channels, height, width = images.shape
        return nn.Sequential(
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
