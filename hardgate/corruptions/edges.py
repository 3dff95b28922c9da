"""Edges only: the image fades into the outlines that Canny's detector finds in it.

Canny, J. (1986), "A computational approach to edge detection", IEEE TPAMI 8(6).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hardgate.corruptions.blur import separable, smooth, unit

FADED = (0.4, 0.55, 0.7, 0.85, 1.0)  # how much of the image has become outline
SIGMA = 1.0  # in pixels of a 28-pixel image
WEAK, STRONG = 0.1, 0.2  # gradients per pixel, in the detector's own scale of [0, 1]
TANGENT = 0.4142  # of 22.5 degrees: where one of the four directions ends and the next begins


def canny_edges(images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:  # noqa: ARG001  no chance in it
    """Fade the image into its outlines, white on black."""
    faded = FADED[severity - 1]
    return images * (1 - faded) + faded * outlines(images)


def outlines(images: Tensor) -> Tensor:
    """Detect edges on the mean of the channels; 1 on an edge, shape ``(n, 1, h, w)``."""
    grey = smooth(images.mean(1, keepdim=True), SIGMA * unit(images))
    gradient_x, gradient_y = _sobel(grey)
    magnitude = (gradient_x**2 + gradient_y**2).sqrt()
    ridge = _is_ridge(magnitude, gradient_x, gradient_y)
    weak = ridge & (magnitude >= WEAK)
    return _connected(weak, ridge & (magnitude >= STRONG)).to(images.dtype)


def _sobel(grey: Tensor) -> tuple[Tensor, Tensor]:
    """Differentiate: grey levels per pixel along x and y, the border repeated."""
    slope = torch.tensor([-0.5, 0.0, 0.5], device=grey.device)
    mean = torch.tensor([0.25, 0.5, 0.25], device=grey.device)
    return (
        separable(grey, rows=mean, columns=slope),
        separable(grey, rows=slope, columns=mean),
    )


def _is_ridge(magnitude: Tensor, gradient_x: Tensor, gradient_y: Tensor) -> Tensor:
    """Keep pixels that no neighbour along the gradient outdoes; a tie goes to the first."""
    flat = gradient_y.abs() <= TANGENT * gradient_x.abs()
    upright = gradient_x.abs() <= TANGENT * gradient_y.abs()
    falling = gradient_x * gradient_y > 0
    ridge = torch.zeros_like(flat)
    for chosen, (down, right) in (
        (flat, (0, 1)),
        (upright, (1, 0)),
        (~flat & ~upright & falling, (1, 1)),
        (~flat & ~upright & ~falling, (-1, 1)),
    ):
        before, after = _shifted(magnitude, -down, -right), _shifted(magnitude, down, right)
        ridge |= chosen & (magnitude > before) & (magnitude >= after)
    return ridge


def _shifted(field: Tensor, down: int, right: int) -> Tensor:
    """Look ``down`` and ``right`` from every pixel; beyond the border there is nothing."""
    h, w = field.shape[-2:]
    padded = functional.pad(field, (1, 1, 1, 1))
    return padded[..., 1 + down : 1 + down + h, 1 + right : 1 + right + w]


def _connected(weak: Tensor, strong: Tensor) -> Tensor:
    """Grow strong edges along weak ones until nothing is added."""
    edges = strong
    while True:
        grown = edges | (_dilated(edges) & weak)
        if torch.equal(grown, edges):
            return edges
        edges = grown


def _dilated(mask: Tensor) -> Tensor:
    """Mark every pixel that touches a marked one, corners included."""
    tall = mask.clone()
    tall[..., 1:, :] |= mask[..., :-1, :]
    tall[..., :-1, :] |= mask[..., 1:, :]
    wide = tall.clone()
    wide[..., 1:] |= tall[..., :-1]
    wide[..., :-1] |= tall[..., 1:]
    return wide
