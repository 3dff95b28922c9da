"""A folder per class with PNG or JPEG files, in a directory or a zip file.

``root/<class>/<image>``, or with the source's own split ``root/train/<class>/<image>``,
``root/test/...`` and perhaps ``root/val/...``. A zip file can come from a URL.
"""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from PIL import Image, ImageOps
from pydantic import PositiveInt

from hardgate import progress, provenance
from hardgate.datasets import fetching, folders, images
from hardgate.datasets.raw import Encoded, Raw, Rows
from hardgate.errors import DataError
from hardgate.protection import Recipients
from hardgate.records import FileRecord

ENDINGS = (".png", ".jpg", ".jpeg")
EIGHT_BIT = ("1", "L", "LA", "P", "RGB", "RGBA")
MODES: dict[int, str] = {1: "L", 3: "RGB"}
SPLITS = {"train": "train", "val": "held_out", "held_out": "held_out", "test": "test"}
# What pillow raises for a broken or hostile file; SyntaxError is how it speaks of a broken PNG.
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


class ImageFolder(fetching.Source):
    """Images sorted into folders. ``sha256`` is that of the zip file, or of the whole folder."""

    kind: Literal["image-folder"]
    encrypt_to: Recipients = ()  # who may read what is written of it
    channels: Literal[1, 3] = 3
    size: tuple[PositiveInt, PositiveInt] | None = None  # height, width to resize to

    @property
    def sources(self) -> tuple[fetching.Source, ...]:
        """The folder or zip file."""
        return (self,)

    def load(self, root: Path, *, cache: Path | None = None) -> Raw:
        """Read every image; URLs are kept in ``cache``, by default below ``root``."""
        file, path = self._find(root, cache or root / fetching.CACHE)
        with folders.opened(path, name=self.path) as folder:
            names = sorted(name for name in folder.names() if is_image(name))
            splits, classes = _places(names, self.path)
            pixels = self.pixels(folder, names)
        return images.raw(
            pixels,
            np.array(classes, dtype=object),
            files=(file,),
            given_split=None if splits is None else np.array(splits),
            names=names,
        )

    def encode(self, raw: Raw, train_rows: Rows) -> Encoded:
        """Hand over pixels and labels, with statistics of the training rows alone."""
        return images.encode(raw, train_rows, None)

    def _find(self, root: Path, cache: Path) -> tuple[FileRecord, Path]:
        """Check the digest of a folder as a whole, or of a zip file."""
        folder = root / self.path
        if self.is_url or not folder.is_dir():
            path = fetching.fetch(self, root=root, cache=cache)
            return fetching.record(path, root=root, sha256=self.sha256), path
        found = provenance.sha256_tree(folder)
        if self.sha256 is not None:
            fetching.check(found, self)
        return fetching.record(folder, root=root, sha256=found), folder

    def pixels(self, folder: folders.Folder, names: Sequence[str]) -> images.Pixels:
        """Decode all images into one array; they must be of one size, or be resized."""
        first = self._decode(folder, names[0])
        pixels = np.empty((len(names), *first.shape), dtype=np.uint8)
        for at, name in enumerate(progress.track(names, f"reading {self.path}")):
            image = self._decode(folder, name)
            if image.shape != first.shape:
                raise DataError(
                    f"{self.path}/{name} is {image.shape[1]} x {image.shape[2]} pixels, "
                    f"{names[0]} {first.shape[1]} x {first.shape[2]}; set size to resize them all"
                )
            pixels[at] = image
        return pixels

    def _decode(self, folder: folders.Folder, name: str) -> images.Pixels:
        """Decode one image to ``(c, h, w)``."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                image = _open(folder.read(name), MODES[self.channels])
        except BROKEN as error:
            raise DataError(f"{self.path}/{name} is not a readable PNG or JPEG: {error}") from error
        if self.size is not None:
            image = image.resize(self.size[::-1], Image.Resampling.BILINEAR)
        array = np.asarray(image, dtype=np.uint8)
        return array[None] if self.channels == 1 else array.transpose(2, 0, 1)


def is_image(name: str) -> bool:
    """Tell images from everything else, and from the ``._`` files that some systems add."""
    return name.lower().endswith(ENDINGS) and not PurePosixPath(name).name.startswith(".")


def _open(content: bytes, mode: str) -> Image.Image:
    """Decode, turned as the camera says, and bring to grey or colour."""
    stored = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
    if stored.mode not in EIGHT_BIT:
        raise ValueError(f"its pixels are of mode {stored.mode}, expected 8 bits per channel")
    turned = ImageOps.exif_transpose(stored)
    if turned.mode == "P":  # its transparency converts cleanly by way of RGBA only
        turned = turned.convert("RGBA")
    return turned.convert(mode)


def _places(names: Sequence[str], source: str) -> tuple[list[str] | None, list[str]]:
    """Read split and class from each name; one more folder around everything is looked through."""
    if not names:
        raise DataError(f"{source} holds no PNG or JPEG file")
    parts = [PurePosixPath(name).parts for name in names]
    if len({part[0] for part in parts}) == 1 and min(len(part) for part in parts) > 2:
        parts = [part[1:] for part in parts]
    given = all(len(part) == 3 and part[0] in SPLITS for part in parts)
    for name, part in zip(names, parts, strict=True):
        if len(part) != (3 if given else 2):
            raise DataError(
                f"{source}/{name} is not in a folder per class: expected class/image, or "
                "train/class/image and test/class/image"
            )
    return [SPLITS[part[0]] for part in parts] if given else None, [part[-2] for part in parts]
