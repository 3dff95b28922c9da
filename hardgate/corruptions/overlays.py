"""Things on the lens or on the paper: an inverted stripe, splashes, dotted lines, zigzags."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hardgate.corruptions.blur import smooth, unit

STRIPE = (2 / 28, 4 / 28, 6 / 28, 8 / 28, 10 / 28)  # width, as a share of the image's
SPATTER = (1.9, 1.6, 1.3, 1.1, 0.9)  # drops are where noise exceeds this many deviations
DROP_SIZE = 1.4  # sigma of that noise, in reference pixels
DROP_LIGHT, DROP_OPACITY = 0.7, 0.9
DOTTED_LINES = (1, 2, 3, 4, 5)
DOTTED, DASH = 0.8, 4.0  # half width and period of the dots, likewise
ZIGZAGS = ((1, 0.2), (1, 0.5), (2, 0.4), (2, 0.6), (3, 0.6))  # how many, half width
TEETH, HEIGHT = 4, 2.5  # of a zigzag: how many, and how far they reach to either side


def stripe(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:
    """Invert a vertical stripe at a random place."""
    w = images.shape[-1]
    width = max(1, round(STRIPE[severity - 1] * w))
    starts = torch.from_numpy(generator.random(len(images))) * (w - width + 1)
    starts = starts.floor().view(-1, 1, 1, 1).to(images.device)
    columns = torch.arange(w, device=images.device)
    inside = (columns >= starts) & (columns < starts + width)
    return torch.where(inside, 1 - images, images)


def spatter(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:
    """Splash drops of a milky liquid on the lens."""
    n, _, h, w = images.shape
    field = torch.from_numpy(generator.standard_normal((n, 1, h, w), dtype=np.float32))
    field = smooth(field.to(images.device), DROP_SIZE * unit(images))
    field = field / field.std((2, 3), keepdim=True).clamp(min=1e-6)
    cover = DROP_OPACITY * ((field - SPATTER[severity - 1]) * 4).clamp(0, 1)
    return images * (1 - cover) + DROP_LIGHT * cover


def dotted_line(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:
    """Draw dotted straight lines from edge to edge, as many as the severity."""
    n, _, h, w = images.shape
    period = DASH * unit(images)
    columns = torch.arange(w, device=images.device, dtype=torch.float32)
    ink = torch.zeros(n, 1, h, w, device=images.device)
    for _ in range(DOTTED_LINES[severity - 1]):
        left, right, phase = _draws(3, images, generator)
        slope = (right - left) * h / w
        heights = left * h + slope * columns
        dotted = ((columns + phase * period) % period) < period / 2
        line = _line(heights, slope, h, DOTTED * unit(images))
        ink = torch.maximum(ink, line * dotted.unsqueeze(1).unsqueeze(2))
    return torch.maximum(images, ink)


def zigzag(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:
    """Draw zigzag lines from edge to edge."""
    count, half_width = ZIGZAGS[severity - 1]
    n, _, h, w = images.shape
    columns = torch.arange(w, device=images.device, dtype=torch.float32)
    ink = torch.zeros(n, 1, h, w, device=images.device)
    for _ in range(count):
        left, right, phase = _draws(3, images, generator)
        slope = (right - left) * h / w
        teeth = _triangle(columns * TEETH / w + phase) * HEIGHT * unit(images)
        steep = slope.abs() + 4 * TEETH * HEIGHT * unit(images) / w
        line = _line(left * h + slope * columns + teeth, steep, h, half_width * unit(images))
        ink = torch.maximum(ink, line)
    return torch.maximum(images, ink)


def _draws(count: int, images: Tensor, generator: np.random.Generator) -> Tensor:
    """Draw ``count`` uniform numbers per image, shape ``(count, n, 1)``."""
    draws = generator.random((count, len(images), 1), dtype=np.float32)
    return torch.from_numpy(draws).to(images.device)


def _triangle(phase: Tensor) -> Tensor:
    """Give the triangle wave of period one, in [-1, 1]."""
    return 4 * (phase - (phase + 0.5).floor()).abs() - 1


def _line(heights: Tensor, slope: Tensor, h: int, half_width: float) -> Tensor:
    """Draw a line given by its height at each column, shape ``(n, w)``, as ``(n, 1, h, w)``.

    The distance of a pixel from the line is the vertical one, shortened by the slope.
    """
    rows = torch.arange(h, device=heights.device, dtype=torch.float32).view(1, h, 1)
    distance = (rows - heights.unsqueeze(1)).abs() / (1 + slope**2).sqrt().unsqueeze(1)
    return (half_width + 0.5 - distance).clamp(0, 1).unsqueeze(1)
