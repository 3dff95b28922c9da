"""Light: too much of it, and fog."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)  # added to the value of each pixel
FOG = (0.4, 0.7, 1.0, 1.4, 1.8)  # thickness, in units of full light
ROUGHNESS = 0.6  # how much of its amplitude each finer layer of fog keeps


def brightness(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:  # noqa: ARG001  no chance in it
    """Raise the value of each pixel (the V of HSV), so that colours keep their hue."""
    value = images.amax(1, keepdim=True)
    raised = (value + BRIGHTNESS[severity - 1]).clamp(max=1)
    return torch.where(value > 0, images * (raised / value.clamp(min=1e-6)), raised)


def fog(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:
    """Lay uneven fog over the image: light is added, contrast is lost."""
    thickness = FOG[severity - 1]
    return (images + thickness * _clouds(images, generator)) / (1 + thickness)


def _clouds(images: Tensor, generator: np.random.Generator) -> Tensor:
    """Draw one field of clouds per image, shape ``(n, 1, h, w)``, in [0, 1].

    Random grids of doubling fineness are summed: the batched relative of the benchmark's
    diamond-square fractal.
    """
    n, _, h, w = images.shape
    clouds = torch.zeros(n, 1, h, w, device=images.device)
    for layer in range(1, max(2, math.ceil(math.log2(min(h, w))))):
        grid = generator.random((n, 1, 2**layer, 2**layer), dtype=np.float32)
        finer = functional.interpolate(
            torch.from_numpy(grid).to(images.device), (h, w), mode="bilinear", align_corners=True
        )
        clouds += finer * ROUGHNESS**layer
    low, high = clouds.amin((2, 3), keepdim=True), clouds.amax((2, 3), keepdim=True)
    return (clouds - low) / (high - low).clamp(min=1e-6)
