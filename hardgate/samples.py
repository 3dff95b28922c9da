"""Inputs and labels, in memory and on disk. Files are safetensors: data only, mapped, not read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from hardgate import provenance, tensors
from hardgate.errors import IntegrityError
from hardgate.records import SplitRecord


@dataclass(frozen=True)
class Samples:
    """A set of labelled inputs.

    ``inputs`` has shape ``(n, columns)`` or ``(n, c, h, w)``, float32, or uint8 for images that
    are still in 1/255 steps; ``labels`` has shape ``(n,)``, int64; ``rows`` names each sample's
    row in the raw file (-1 for a made one).
    """

    inputs: Tensor
    labels: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> Samples:
        """Select samples by index, in the order given."""
        return Samples(self.inputs[index], self.labels[index], self.rows[index])

    def sha256(self) -> str:
        """Digest inputs, labels and rows, as they are in memory."""
        digest = hashlib.sha256()
        for part in (self.inputs, self.labels, self.rows):
            digest.update(f"{part.dtype} {tuple(part.shape)} ".encode())
            digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()

    def floats(self) -> Tensor:
        """Give all inputs as the model takes them: float32, pixels in [0, 1]."""
        return as_floats(self.inputs)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield ``(inputs as floats, labels)`` in order."""
        for inputs, labels in zip(
            torch.split(self.inputs, size), torch.split(self.labels, size), strict=True
        ):
            yield as_floats(inputs), labels


def as_floats(inputs: Tensor) -> Tensor:
    """Scale uint8 pixels to [0, 1]; leave float32 as it is."""
    return inputs.float() / 255 if inputs.dtype == torch.uint8 else inputs


def write(
    samples: Samples, path: Path, *, root: Path, classes: int, recipients: Sequence[str] = ()
) -> SplitRecord:
    """Write samples beside their final name, rename, and describe the file.

    ``path`` is absolute or below the working directory; the record holds it relative to ``root``.
    """
    parts = {"inputs": samples.inputs, "labels": samples.labels, "rows": samples.rows}
    tensors.write(parts, path, recipients=recipients)
    return SplitRecord(
        path=path.resolve().relative_to(root.resolve()),
        sha256=provenance.sha256_file(path),
        samples=len(samples),
        class_counts=tuple(np.bincount(samples.labels.numpy(), minlength=classes).tolist()),
    )


def read(record: SplitRecord, *, root: Path) -> Samples:
    """Read a split back, after its digest was found to be the recorded one.

    Raises
    ------
    IntegrityError
        If the file is missing, changed or not safetensors.
    """
    path = root / record.path
    if not path.is_file():
        raise IntegrityError(f"{record.path} is missing; run the stage that writes it again")
    found = provenance.sha256_file(path)
    if found != record.sha256:
        raise IntegrityError(
            f"{record.path} has changed: its digest is {found[:12]}, its record says "
            f"{record.sha256[:12]}; run the stage that writes it again"
        )
    try:
        kept = tensors.read(path)
    except SafetensorError as error:
        raise IntegrityError(f"{record.path} is not a safetensors file: {error}") from error
    return Samples(kept["inputs"], kept["labels"], kept["rows"])
