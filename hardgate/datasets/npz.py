"""NPZ in the layout of MedMNIST (Yang et al., 2023): ``train_images``, ``train_labels``, ...

Images are uint8 of shape ``(n, h, w)`` or ``(n, h, w, c)``; labels are ``(n,)`` or ``(n, 1)``.
Arrays of Python objects are refused, because reading one runs code.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from hardgate import protection
from hardgate.datasets import fetching, images
from hardgate.datasets.raw import Encoded, Raw, Rows
from hardgate.errors import DataError
from hardgate.protection import Recipients

PARTS = {"train": "train", "val": "held_out", "test": "test"}
WANTED = [f"{part}_{what}" for part in PARTS for what in ("images", "labels")]


class Npz(fetching.Source):
    """One file with every split; without ``val`` arrays, held-out rows come from ``train``."""

    kind: Literal["npz"]
    encrypt_to: Recipients = ()  # who may read what is written of it
    classes: tuple[str, ...] | None = None  # names by label number; the numbers, if not given

    @property
    def sources(self) -> tuple[fetching.Source, ...]:
        """The one file."""
        return (self,)

    def load(self, root: Path, *, cache: Path | None = None) -> Raw:
        """Read all splits; URLs are kept in ``cache``, by default below ``root``."""
        path = fetching.fetch(self, root=root, cache=cache or root / fetching.CACHE)
        arrays = read(path, self.path)
        _refuse_missing(arrays, self.path)
        parts = [part for part in PARTS if f"{part}_images" in arrays or part != "val"]
        pixels = [pixels_of(arrays, f"{part}_images", self.path) for part in parts]
        labels = [labels_of(arrays, f"{part}_labels", self.path) for part in parts]
        for part, some, others in zip(parts, pixels, labels, strict=True):
            if len(some) != len(others) or some.shape[1:] != pixels[0].shape[1:]:
                raise DataError(
                    f"{self.path}: {part}_images has shape {some.shape}, but there are "
                    f"{len(others)} {part}_labels and train_images has shape {pixels[0].shape}"
                )
        return images.raw(
            np.concatenate(pixels),
            np.concatenate(labels),
            files=(fetching.record(path, root=root, sha256=self.sha256),),
            given_split=np.repeat([PARTS[part] for part in parts], [len(part) for part in labels]),
        )

    def encode(self, raw: Raw, train_rows: Rows) -> Encoded:
        """Hand over pixels and labels, with statistics of the training rows alone."""
        return images.encode(raw, train_rows, self.classes)


def read(path: Path, name: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of the layout that are there, and no others."""
    arrays, key = {}, "the archive"
    try:
        with protection.opened(path, name=name) as file:  # numpy leaves a broken one open
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, NpzFile):
                raise DataError(f"{name} is one array, expected an .npz archive of several")
            for key in (held for held in archive.files if held in WANTED):
                arrays[key] = archive[key]
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{name}: {key} cannot be read: {error}") from error
    return arrays


def _refuse_missing(arrays: Mapping[str, NDArray[Any]], name: str) -> None:
    for key in WANTED:
        if key not in arrays and not key.startswith("val_"):
            found = ", ".join(arrays) or "none of the layout"
            raise DataError(f"{name} lacks the array {key}; it has {found}")


def pixels_of(arrays: Mapping[str, NDArray[Any]], key: str, name: str) -> images.Pixels:
    """Bring images to ``(n, c, h, w)``."""
    array = arrays[key]
    if array.dtype != np.uint8:
        raise DataError(f"{name}: {key} is {array.dtype}, expected uint8")
    if array.ndim == 3:
        return array[:, None]
    if array.ndim == 4 and array.shape[3] in (1, 3):
        return np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    raise DataError(
        f"{name}: {key} has shape {array.shape}, expected (n, height, width) or the same with "
        "1 or 3 channels last"
    )


def labels_of(arrays: Mapping[str, NDArray[Any]], key: str, name: str) -> NDArray[np.int64]:
    """Bring labels to ``(n,)``."""
    array = arrays.get(key)
    if array is None:
        raise DataError(f"{name} lacks the array {key}")
    if array.dtype.kind not in "iu" or array.size != len(array):
        raise DataError(
            f"{name}: {key} is {array.dtype} of shape {array.shape}, expected one integer per image"
        )
    return array.reshape(-1).astype(np.int64)
