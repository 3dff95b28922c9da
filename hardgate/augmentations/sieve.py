"""What no augmentation may add: samples outside the data's ranges, and samples that are there."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardgate.augmentations.context import Added
from hardgate.records import ColumnType, ImageInput, InputSpec, TableInput

Fingerprints = NDArray[np.uint64]
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, close to 2**64 over the golden ratio
FOLD = np.uint64(32)


class Sieve:
    """Remembers every sample seen, and lets through what is new and within the data's ranges."""

    def __init__(self, spec: InputSpec, inputs: Tensor) -> None:
        self._spec = spec
        self._seen = np.unique(fingerprints(inputs))

    def sift(self, added: Added) -> Added:
        """Drop samples, count them by reason, and remember the others."""
        inside = within(added.samples.inputs, self._spec)
        samples = added.samples.take(inside.nonzero().flatten())
        prints = fingerprints(samples.inputs)
        _, first = np.unique(prints, return_index=True)
        new = np.zeros(len(prints), dtype=np.bool_)
        new[first] = True
        new &= ~np.isin(prints, self._seen)
        self._seen = np.union1d(self._seen, prints[new])
        return Added(
            samples.take(torch.from_numpy(np.flatnonzero(new))),
            {
                **added.dropped,
                "out of range": int((~inside).sum()),
                "duplicate": int((~new).sum()),
            },
            added.detail,
        )


def within(inputs: Tensor, spec: InputSpec) -> Tensor:
    """Tell which samples the data could hold, shape ``(n,)``: types and ranges."""
    if isinstance(spec, ImageInput):
        if inputs.dtype == torch.uint8:
            return torch.ones(len(inputs), dtype=torch.bool)
        return ((inputs >= 0) & (inputs <= 1)).flatten(1).all(1)  # NaN is in no range
    return _cells_within(inputs, spec).all(1)


def _cells_within(inputs: Tensor, spec: TableInput) -> Tensor:
    low = torch.tensor([column.low for column in spec.columns])
    high = torch.tensor([column.high for column in spec.columns])
    whole = torch.tensor([column.type is not ColumnType.REAL for column in spec.columns])
    missing = torch.where(
        torch.tensor([column.type is ColumnType.CATEGORICAL for column in spec.columns]),
        inputs == -1,
        inputs.isnan(),
    )
    ranged = (inputs >= low) & (inputs <= high) & (~whole | (inputs == inputs.round()))
    return missing | ranged


def fingerprints(inputs: Tensor) -> Fingerprints:
    """Hash each sample to 64 bits: equal where the model would see the same input."""
    if inputs.dtype != torch.uint8:
        inputs = torch.where(inputs.isnan(), torch.nan, inputs) + 0.0  # one NaN, one zero
    rows = inputs.flatten(1).numpy()
    if rows.dtype == np.uint8:
        rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
    hashes: Fingerprints = np.zeros(len(rows), dtype=np.uint64)
    for word in np.ascontiguousarray(rows).view(np.uint32).T:
        hashes = (hashes ^ word) * FACTOR
        hashes ^= hashes >> FOLD
    return hashes
