"""IDX, the format of MNIST (LeCun, Cortes, Burges), plain or gzip, with its own test split.

A file begins with two zero bytes, a type (0x08: unsigned bytes) and the number of dimensions,
then each dimension as a big-endian 32-bit number, then the bytes themselves.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray

from hardgate import protection, provenance
from hardgate.datasets import fetching, images
from hardgate.datasets.raw import Encoded, Raw, Rows
from hardgate.errors import DataError
from hardgate.protection import Recipients
from hardgate.records import Record

UNSIGNED_BYTE = 0x08


class Idx(Record):
    """Four files: training and test images, and their labels."""

    kind: Literal["idx"]
    encrypt_to: Recipients = ()  # who may read what is written of it
    train_images: fetching.Source
    train_labels: fetching.Source
    test_images: fetching.Source
    test_labels: fetching.Source
    classes: tuple[str, ...] | None = None  # names by label number; the numbers, if not given

    @property
    def sources(self) -> tuple[fetching.Source, ...]:
        """The four files."""
        return (self.train_images, self.train_labels, self.test_images, self.test_labels)

    def load(self, root: Path, *, cache: Path | None = None) -> Raw:
        """Read the four files; URLs are kept in ``cache``, by default below ``root``."""
        kept = cache or root / fetching.CACHE
        pairs = [(self.train_images, self.train_labels), (self.test_images, self.test_labels)]
        files, pixels, labels = [], [], []
        for image_source, label_source in pairs:
            paths = [fetching.fetch(s, root=root, cache=kept) for s in (image_source, label_source)]
            pixels.append(read(paths[0], name=image_source.path, dimensions=3))
            labels.append(read(paths[1], name=label_source.path, dimensions=1))
            if len(pixels[-1]) != len(labels[-1]):
                raise DataError(
                    f"{image_source.path} holds {len(pixels[-1])} images, but "
                    f"{label_source.path} {len(labels[-1])} labels"
                )
            for source, path in zip((image_source, label_source), paths, strict=True):
                files.append(fetching.record(path, root=root, sha256=source.sha256))
        if pixels[0].shape[1:] != pixels[1].shape[1:]:
            raise DataError(
                f"{self.test_images.path} has images of {pixels[1].shape[1:]} pixels, "
                f"{self.train_images.path} of {pixels[0].shape[1:]}"
            )
        return images.raw(
            np.concatenate(pixels)[:, None],
            np.concatenate(labels).astype(np.int64),
            files=tuple(files),
            given_split=np.repeat(["train", "test"], [len(part) for part in labels]),
        )

    def encode(self, raw: Raw, train_rows: Rows) -> Encoded:
        """Hand over pixels and labels, with statistics of the training rows alone."""
        return images.encode(raw, train_rows, self.classes)


def read(path: Path, *, name: str, dimensions: int) -> NDArray[np.uint8]:
    """Read one file of unsigned bytes; ``name`` is how messages call it.

    Raises
    ------
    DataError
        If the file is cut off, of another format or size than its header says.
    """
    try:
        with protection.opened(path, name=name) as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            file = gzip.GzipFile(fileobj=plain) if packed else plain
            shape = _read_shape(file, name, dimensions)
            size, content = math.prod(shape), bytearray()
            while len(content) <= size and (block := file.read(provenance.BLOCK)):
                content += block  # no more than the header says: a small gz can hold any amount
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"{name} is cut off or broken: {error}; fetch it again") from error
    if size == 0:
        raise DataError(f"{name} is empty: its header says {shape}; every split needs some samples")
    if len(content) != size:
        held = "more" if len(content) > size else str(len(content))
        raise DataError(
            f"{name} holds {held} bytes, but its header says {shape}, {size} bytes; fetch it again"
        )
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _read_shape(file: IO[bytes] | gzip.GzipFile, name: str, dimensions: int) -> tuple[int, ...]:
    magic, expected = file.read(4), bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if magic != expected:
        raise DataError(
            f"{name} begins with {magic.hex(' ') or 'nothing'}, expected {expected.hex(' ')}: "
            f"an IDX file of unsigned bytes in {dimensions} dimension(s)"
        )
    header = file.read(4 * dimensions)
    if len(header) != 4 * dimensions:
        raise EOFError("it ends within its header")
    return struct.unpack(f">{dimensions}I", header)
