"""Blur: frosted glass and a moving camera."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

REFERENCE = 28  # lengths are in pixels of an image of this size
# Sigma of the blur, share of pixels that move, how far, how often.
GLASS = (
    (0.4, 0.3, 1, 1),
    (0.45, 0.5, 1, 1),
    (0.5, 0.7, 1, 1),
    (0.55, 0.85, 1, 2),
    (0.6, 1.0, 1, 3),
)
MOTION = (3.0, 4.5, 6.0, 7.5, 9.0)  # length of the trail
DIRECTIONS = 16  # one convolution each, instead of one per image


def unit(images: Tensor) -> float:
    """Give the length of one reference pixel on images of this size."""
    return min(images.shape[-2:]) / REFERENCE


def smooth(images: Tensor, sigma: float) -> Tensor:
    """Blur with a Gaussian of ``sigma`` pixels; the border repeats the outermost pixel."""
    reach = max(1, math.ceil(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    return separable(images, rows=weights / weights.sum(), columns=weights / weights.sum())


def separable(images: Tensor, *, rows: Tensor, columns: Tensor) -> Tensor:
    """Convolve along the rows' axis with ``rows`` and along the columns' axis with ``columns``.

    As two matrix products: for images this small far faster than a convolution of one channel.
    """
    down, across = _banded(rows, images.shape[-2]), _banded(columns, images.shape[-1])
    return down @ (images @ across.T)


def _banded(weights: Tensor, size: int) -> Tensor:
    """Write a centred filter as a ``(size, size)`` matrix; the border repeats the outermost."""
    reach = len(weights) // 2
    place = torch.arange(size, device=weights.device).unsqueeze(1)
    source = (place + torch.arange(-reach, reach + 1, device=weights.device)).clamp(0, size - 1)
    matrix = weights.new_zeros(size, size)
    return matrix.scatter_add_(1, source, weights.expand(size, -1))


def glass_blur(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:
    """Look through frosted glass: blur, let pixels trade places with near ones, blur again.

    The benchmark swaps pixels one after the other; here each moving pixel takes
    the value of a random near one at once, which looks the same and needs no loop over pixels.
    """
    sigma, moved, shift, rounds = GLASS[severity - 1]
    reach = max(1, round(shift * unit(images)))
    blurred = smooth(images, sigma * unit(images))
    for _ in range(rounds):
        blurred = _displace(blurred, reach, moved, generator)
    return smooth(blurred, sigma * unit(images))


def _displace(images: Tensor, reach: int, moved: float, generator: np.random.Generator) -> Tensor:
    """Give a share of the pixels the value of a random one ``reach`` pixels or less away."""
    n, _, h, w = images.shape
    shifts = generator.integers(-reach, reach + 1, (2, n, h, w), dtype=np.int16)
    shifts *= generator.random((n, h, w), dtype=np.float32) < moved
    moves = torch.from_numpy(shifts).to(images.device, torch.int64)
    rows = torch.arange(h, device=images.device).view(1, h, 1)
    columns = torch.arange(w, device=images.device).view(1, 1, w)
    source = (rows + moves[0]).clamp(0, h - 1) * w + (columns + moves[1]).clamp(0, w - 1)
    index = source.view(n, 1, h * w).expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, index).view_as(images)


def motion_blur(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:
    """Move the camera along a straight line of random direction while the shutter is open."""
    length = MOTION[severity - 1] * unit(images)
    directions = torch.from_numpy(generator.integers(0, DIRECTIONS, len(images)))
    blurred = torch.empty_like(images)
    for direction in range(DIRECTIONS):
        chosen = (directions == direction).nonzero().flatten().to(images.device)
        if len(chosen):
            trail = _trail(length, math.pi * direction / DIRECTIONS).to(images.device)
            blurred[chosen] = _convolve(images[chosen], trail)
    return blurred


def _trail(length: float, angle: float) -> Tensor:
    """Draw a straight line through the centre of a kernel that sums to one."""
    reach = max(1, math.ceil(length / 2))
    along = torch.linspace(-length / 2, length / 2, 8 * reach + 1)
    x, y = along * math.cos(angle) + reach, along * math.sin(angle) + reach
    kernel = torch.zeros(2 * reach + 2, 2 * reach + 2)
    for right in (0, 1):  # each point of the line is shared out among its four pixels
        for below in (0, 1):
            share_x = x.frac() if right else 1 - x.frac()
            share_y = y.frac() if below else 1 - y.frac()
            cells = (y.floor().long() + below, x.floor().long() + right)
            kernel.index_put_(cells, share_x * share_y, accumulate=True)
    kernel = kernel[:-1, :-1]
    return kernel / kernel.sum()


def _convolve(images: Tensor, kernel: Tensor) -> Tensor:
    reach = len(kernel) // 2
    channels = images.flatten(0, 1).unsqueeze(1)
    padded = functional.pad(channels, (reach, reach, reach, reach), mode="replicate")
    return functional.conv2d(padded, kernel[None, None]).view_as(images)
