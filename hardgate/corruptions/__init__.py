"""Common corruptions: what the world does to an image without meaning harm.

The fifteen of MNIST-C (Mu, N. and Gilmer, J. (2019), "MNIST-C: a robustness benchmark for computer
vision", arXiv 1906.02337), each at severities 1 to 5 as in the common-corruptions benchmark
(Hendrycks, D. and Dietterich, T. (2019), arXiv 1903.12261). The strengths of the severities are
our own, chosen on real digits so that severity 3 stays legible; lengths scale with the image.

Read :mod:`noise`, :mod:`blur`, :mod:`affine`, :mod:`lighting`, :mod:`overlays`, :mod:`edges`. To
add one: write a function beside its kin, then name it in ``Name`` and in ``CORRUPTIONS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from hardgate.corruptions import affine, blur, edges, lighting, noise, overlays
from hardgate.errors import ContractError

Name = Literal[
    "shot_noise",
    "impulse_noise",
    "glass_blur",
    "motion_blur",
    "shear",
    "scale",
    "rotate",
    "brightness",
    "translate",
    "stripe",
    "fog",
    "spatter",
    "dotted_line",
    "zigzag",
    "canny_edges",
]
NAMES: Final[tuple[Name, ...]] = get_args(Name)
SEVERITIES: Final = (1, 2, 3, 4, 5)

# Takes images, a severity and a generator; gives new images, not yet clipped to [0, 1].
Corruption = Callable[[Tensor, int, np.random.Generator], Tensor]

CORRUPTIONS: Final[Mapping[Name, Corruption]] = {
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "shear": affine.shear,
    "scale": affine.scale,
    "rotate": affine.rotate,
    "brightness": lighting.brightness,
    "translate": affine.translate,
    "stripe": overlays.stripe,
    "fog": lighting.fog,
    "spatter": overlays.spatter,
    "dotted_line": overlays.dotted_line,
    "zigzag": overlays.zigzag,
    "canny_edges": edges.canny_edges,
}

# Values corrupted at once: enough to keep the processor busy, few enough to keep memory flat.
VALUES_AT_ONCE = 1 << 19


def corrupt(name: Name, images: Tensor, severity: int, generator: np.random.Generator) -> Tensor:
    """Corrupt every image with draws of its own.

    Parameters
    ----------
    images
        Shape ``(n, c, h, w)``, floating point, pixel values in [0, 1]; left untouched.
    severity
        1 (faint) to 5 (strong).
    generator
        The only source of chance: equal generators give equal images.

    Returns
    -------
    Tensor
        Same shape, type and device, pixel values in [0, 1].

    Raises
    ------
    ContractError
        If the name, the severity, the shape, the type or the pixel range is not as above.
    """
    _check(name, images, severity)
    corruption = CORRUPTIONS[name]
    corrupted = torch.empty_like(images)
    size = max(1, VALUES_AT_ONCE // max(1, images[:1].numel()))
    with torch.no_grad():
        for start in range(0, len(images), size):
            chunk = images[start : start + size].float()
            corrupted[start : start + size] = corruption(chunk, severity, generator).clamp_(0, 1)
    return corrupted


def _check(name: str, images: Tensor, severity: int) -> None:
    if name not in CORRUPTIONS:
        raise ContractError(f"no corruption is called {name!r}; there are {', '.join(NAMES)}")
    if severity not in SEVERITIES:
        raise ContractError(f"severity is {severity}; expected 1, 2, 3, 4 or 5")
    if images.ndim != 4 or not images.is_floating_point():
        raise ContractError(
            f"images have shape {tuple(images.shape)} and type {images.dtype}; "
            "expected (n, c, h, w) in floating point"
        )
    if images.numel() == 0:
        return
    low, high = (float(bound) for bound in images.aminmax())
    if not (low >= 0 and high <= 1):  # written so that NaN is refused too
        raise ContractError(f"pixels lie in [{low}, {high}]; expected [0, 1]")
