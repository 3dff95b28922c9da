"""Images that are none of those the model is for, made without a download.

``inverted``
    the test images with dark and light exchanged;
``permuted``
    their pixels in random order, which keeps every grey value and nothing else;
``noise``
    pixels drawn evenly from [0, 1];
``photographs``
    crops of the two photographs (a temple, a flower) that scikit-learn carries;
``letters``
    letters which resemble no digit, in the fonts that matplotlib carries, turned a little: the
    nearest to handwriting, and the hardest.

A model whose own images are letters should leave those out.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hardgate.records import ImageInput

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

ImageKind = Literal["inverted", "permuted", "noise", "photographs", "letters"]
IMAGE_KINDS: tuple[ImageKind, ...] = get_args(ImageKind)
LETTERS = "ACEFHKMNPRTUVWXYadefhkmnprtuvwxy"
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Bold", "STIXGeneral", "cmr10")
TURN = 15  # degrees either way
WIDEST = 4  # times the image's own side, of a crop


def make(
    kind: ImageKind, images: Tensor, spec: ImageInput, generator: np.random.Generator
) -> Tensor:
    """Make as many images as there are ``images``, shape ``(n, c, h, w)`` in [0, 1]."""
    match kind:
        case "inverted":
            return 1 - images
        case "permuted":
            flat = images.flatten(2)
            orders = generator.permuted(np.tile(np.arange(flat.shape[2]), (len(flat), 1)), axis=1)
            order = torch.from_numpy(orders)[:, None].expand_as(flat)
            return flat.gather(2, order).view_as(images)
        case "noise":
            return torch.from_numpy(generator.random(images.shape, np.float32))
        case "photographs":
            return _photographs(len(images), spec, generator)
        case "letters":
            return _letters(len(images), spec, generator)


def _photographs(count: int, spec: ImageInput, generator: np.random.Generator) -> Tensor:
    """Cut squares out of the photographs, and scale them to the images' size."""
    from sklearn.datasets import load_sample_images

    channels, height, width = spec.shape
    photographs = [
        torch.tensor(photo).permute(2, 0, 1).float() / 255 for photo in load_sample_images().images
    ]
    crops = []
    for _ in range(count):
        photo = photographs[generator.integers(len(photographs))]
        side = int(generator.integers(min(height, width), WIDEST * max(height, width) + 1))
        side = min(side, *photo.shape[1:])
        top, left = (int(generator.integers(size - side + 1)) for size in photo.shape[1:])
        crop = photo[None, :, top : top + side, left : left + side]
        crops.append(functional.interpolate(crop, (height, width), mode="area"))
    coloured = torch.cat(crops)
    return (
        coloured if channels == 3 else coloured.mean(1, keepdim=True).expand(-1, channels, -1, -1)
    )


def _letters(count: int, spec: ImageInput, generator: np.random.Generator) -> Tensor:
    """Draw letters in the middle, light on dark where the training images are dark."""
    from PIL import ImageFont

    channels, height, width = spec.shape
    fonts = [ImageFont.truetype(str(file), round(0.9 * min(height, width))) for file in _files()]
    drawn = np.stack(
        [
            _letter(
                LETTERS[generator.integers(len(LETTERS))],
                fonts[generator.integers(len(fonts))],
                (width, height),
                float(generator.uniform(-TURN, TURN)),
            )
            for _ in range(count)
        ]
    )
    ink = torch.from_numpy(drawn)[:, None].expand(-1, channels, -1, -1)
    return ink if sum(spec.mean) / len(spec.mean) < 0.5 else 1 - ink


def _files() -> list[Path]:
    import matplotlib

    return [Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf") for name in FONTS]


def _letter(
    letter: str, font: FreeTypeFont, size: tuple[int, int], degrees: float
) -> NDArray[np.float32]:
    from PIL import Image, ImageDraw

    page = Image.new("L", size)
    middle = (size[0] / 2, size[1] / 2)
    ImageDraw.Draw(page).text(middle, letter, fill=255, font=font, anchor="mm")
    turned = page.rotate(degrees, resample=Image.Resampling.BILINEAR)
    return np.asarray(turned, np.float32) / np.float32(255)
