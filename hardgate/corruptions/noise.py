"""Noise of the sensor: photons that are counted, and pixels that fail."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

PHOTONS = (40.0, 16.0, 8.0, 4.0, 2.5)  # counted by a white pixel
FAILED = (0.03, 0.06, 0.10, 0.16, 0.24)  # share of pixels stuck at black or white


def shot_noise(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:
    """Count photons: the dimmer the light, the coarser each pixel's Poisson count."""
    photons = PHOTONS[severity - 1]
    expected = images.numpy(force=True) * photons
    counts = np.zeros_like(expected)
    lit = expected > 0  # black pixels count nothing; drawing for them would take most of the time
    counts[lit] = generator.poisson(expected[lit])
    return torch.from_numpy(counts).to(images.device) / photons


def impulse_noise(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:
    """Let a share of the values fail, half of them to black and half to white."""
    failed = FAILED[severity - 1]
    draws = torch.from_numpy(generator.random(images.shape, dtype=np.float32)).to(images.device)
    black = torch.where(draws < failed / 2, torch.zeros_like(images), images)
    return torch.where(draws >= 1 - failed / 2, torch.ones_like(images), black)
