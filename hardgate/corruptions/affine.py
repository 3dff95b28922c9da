"""Affine corruptions: the picture is taken from another place. What comes into view is black."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

SHEAR = (0.15, 0.30, 0.45, 0.60, 0.75)  # sideways per unit of height
SCALE = (0.9, 0.8, 0.7, 0.6, 0.5)  # size of what is seen
ROTATE = (10.0, 20.0, 30.0, 40.0, 50.0)  # degrees; a six becomes no nine
TRANSLATE = (1 / 28, 2 / 28, 3 / 28, 4 / 28, 5 / 28)  # share of width and of height


def shear(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:
    """Slant to a random side."""
    maps = _identity(images)
    maps[:, 0, 1] = _signs(images, generator) * SHEAR[severity - 1]
    return _transform(images, maps)


def scale(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:  # noqa: ARG001  no chance in it
    """Step back: everything gets smaller."""
    return _transform(images, _identity(images) / SCALE[severity - 1])


def rotate(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:
    """Turn to a random side around the centre."""
    h, w = images.shape[-2:]
    angles = _signs(images, generator) * math.radians(ROTATE[severity - 1])
    maps = _identity(images)
    maps[:, 0, 0] = maps[:, 1, 1] = angles.cos()
    maps[:, 0, 1] = -angles.sin() * h / w  # the map's unit is half the width, half the height
    maps[:, 1, 0] = angles.sin() * w / h
    return _transform(images, maps)


def translate(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:
    """Move along both axes, each to a random side."""
    maps = _identity(images)
    maps[:, 0, 2] = _signs(images, generator) * 2 * TRANSLATE[severity - 1]
    maps[:, 1, 2] = _signs(images, generator) * 2 * TRANSLATE[severity - 1]
    return _transform(images, maps)


def _identity(images: Tensor) -> Tensor:
    return torch.eye(2, 3, device=images.device).repeat(len(images), 1, 1)


def _signs(images: Tensor, generator: np.random.Generator) -> Tensor:
    """Draw -1 or 1 per image."""
    signs = generator.integers(0, 2, len(images)) * 2 - 1
    return torch.from_numpy(signs).to(images.device, torch.float32)


def _transform(images: Tensor, maps: Tensor) -> Tensor:
    """Sample each image where its map, shape ``(n, 2, 3)``, says; black outside."""
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
