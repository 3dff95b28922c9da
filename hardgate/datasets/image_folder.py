"""A folder per class with PNG or JPEG files, in a directory or a zip file.

``root/<class>/<image>``, or with the source's own split ``root/train/<class>/<image>`` and
``root/test/...``. A zip file is read in place, nothing is unpacked, and it can come from a URL.
"""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol, Self

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import PositiveInt, model_validator

from hardgate import progress, provenance
from hardgate.datasets import fetching, images
from hardgate.datasets.raw import Encoded, Raw, Rows
from hardgate.errors import DataError, ParamsError
from hardgate.records import FileRecord, Record, Sha256

ENDINGS = (".png", ".jpg", ".jpeg")
EIGHT_BIT = ("1", "L", "LA", "P", "RGB", "RGBA")
MODES: dict[int, str] = {1: "L", 3: "RGB"}
SPLITS = {"train": "train", "val": "held_out", "held_out": "held_out", "test": "test"}


class ImageFolder(Record):
    """Images sorted into folders. ``sha256`` is that of the zip file, or of the whole folder."""

    kind: Literal["image-folder"]
    path: str
    sha256: Sha256 | None = None
    channels: Literal[1, 3] = 3
    size: tuple[PositiveInt, PositiveInt] | None = None  # height, width to resize to

    @property
    def source(self) -> fetching.Source:
        """The folder or zip file and its digest."""
        return fetching.Source(path=self.path, sha256=self.sha256)

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        self.source  # noqa: B018  raises ValueError for a URL that cannot be used
        return self

    def load(self, root: Path, *, cache: Path | None = None) -> Raw:
        """Read every image; URLs are kept in ``cache``, by default below ``root``."""
        file, path = self._find(root, cache or root / fetching.CACHE)
        with _open(path, self.path) as folder:
            names = sorted(name for name in folder.names() if name.lower().endswith(ENDINGS))
            splits, classes = _places(names, self.path)
            pixels = self._read(folder, names)
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
        if self.source.is_url or not folder.is_dir():
            path = fetching.fetch(self.source, root=root, cache=cache)
            return fetching.record(path, root=root, sha256=self.sha256), path
        found = provenance.sha256_tree(folder)
        if self.sha256 is not None:
            fetching.check(found, self.source)
        return fetching.record(folder, root=root, sha256=found), folder

    def _read(self, folder: _Folder, names: Sequence[str]) -> images.Pixels:
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

    def _decode(self, folder: _Folder, name: str) -> images.Pixels:
        """Decode one image to ``(c, h, w)``, turned as its camera says."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                image: Image.Image = Image.open(
                    io.BytesIO(folder.read(name)), formats=("PNG", "JPEG")
                )
                if image.mode not in EIGHT_BIT:
                    raise DataError(f"{self.path}/{name} has mode {image.mode}, expected 8 bits")
                image = ImageOps.exif_transpose(image).convert(MODES[self.channels])
        except (
            UnidentifiedImageError,
            Image.DecompressionBombError,
            Image.DecompressionBombWarning,
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            SyntaxError,  # what pillow says of a broken PNG
            ValueError,
        ) as error:
            raise DataError(f"{self.path}/{name} is not a readable PNG or JPEG: {error}") from error
        if self.size is not None:
            image = image.resize(self.size[::-1], Image.Resampling.BILINEAR)
        array = np.asarray(image, dtype=np.uint8)
        return array[None] if self.channels == 1 else array.transpose(2, 0, 1)


class _Folder(Protocol):
    """Names and bytes of the files below a directory or in a zip file."""

    def names(self) -> Iterator[str]: ...

    def read(self, name: str) -> bytes: ...


class _Directory:
    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> Iterator[str]:
        return (path.as_posix() for path in provenance.files_below(self._path))

    def read(self, name: str) -> bytes:
        return (self._path / name).read_bytes()


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def names(self) -> Iterator[str]:
        return (name for name in self._archive.namelist() if not name.startswith("__MACOSX/"))

    def read(self, name: str) -> bytes:
        return self._archive.read(name)


@contextmanager
def _open(path: Path, name: str) -> Iterator[_Folder]:
    if path.is_dir():
        yield _Directory(path)
        return
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{name} is neither a folder nor a readable zip file: {error}") from error
    with archive:
        yield _Zip(archive)


def _places(names: Sequence[str], source: str) -> tuple[list[str] | None, list[str]]:
    """Read split and class from each name; a zip file may wrap all in one more folder."""
    if not names:
        raise DataError(f"{source} holds no PNG or JPEG file")
    parts = [PurePosixPath(name).parts for name in names]
    if len({len(part) for part in parts}) == 1 and len({part[0] for part in parts}) == 1:
        parts = [part[1:] for part in parts] if len(parts[0]) > 2 else parts
    given = all(len(part) == 3 and part[0] in SPLITS for part in parts)
    for name, part in zip(names, parts, strict=True):
        if len(part) != (3 if given else 2):
            raise ParamsError(
                f"{source}: {name} is not in a folder per class (class/image, or "
                "train/class/image and test/class/image)"
            )
    return [SPLITS[part[0]] for part in parts] if given else None, [part[-2] for part in parts]
