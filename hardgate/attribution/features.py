"""What has a rank among the reasons: a column of a table, a square region of an image.

Single pixels are no reasons: their neighbours say the same, and the order of hundreds of nearly
equal numbers means nothing. Attributions are additive, so a region's is the sum of its pixels'.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hardgate.errors import ParamsError
from hardgate.records import ColumnType, ImageInput, InputSpec, TableInput


@dataclass(frozen=True)
class Features:
    """Names of the features, and the feature each part of an input belongs to."""

    names: tuple[str, ...]
    index: Tensor  # int64, of one input's shape
    continuous: Tensor  # bool, shape (features,): whether a gradient means anything

    def sum(self, values: Tensor) -> Tensor:
        """Sum attributions of inputs, shape ``(n, ...)``, by feature, ``(n, features)``."""
        summed = torch.zeros(len(values), len(self.names), dtype=values.dtype)
        return summed.index_add_(1, self.index.flatten(), values.flatten(1))

    def spread(self, chosen: Tensor) -> Tensor:
        """Say for each part of an input what is said of its feature, ``(..., features)``."""
        return chosen[..., self.index]


def of(spec: InputSpec, region: int | None) -> Features:
    """Find the features of a kind of input.

    Raises
    ------
    ParamsError
        If images come without a region, tables with one, or the region exceeds the image.
    """
    if isinstance(spec, TableInput):
        if region is not None:
            raise ParamsError("explanation.region is for images; a table is explained by column")
        return _columns(spec)
    if region is None:
        raise ParamsError("explanation.region is missing; give the side of a region in pixels")
    if region > min(spec.shape[1:]):
        raise ParamsError(
            f"explanation.region: {region} pixels, the images are {spec.shape[1]} x "
            f"{spec.shape[2]}; give a part of that"
        )
    return _regions(spec, region)


def _columns(spec: TableInput) -> Features:
    return Features(
        names=tuple(column.name for column in spec.columns),
        index=torch.arange(len(spec.columns)),
        continuous=torch.tensor(
            [column.type is not ColumnType.CATEGORICAL for column in spec.columns]
        ),
    )


def _regions(spec: ImageInput, side: int) -> Features:
    channels, height, width = spec.shape
    across = -(-width // side)
    rows, columns = torch.arange(height) // side, torch.arange(width) // side
    index = (rows[:, None] * across + columns).expand(channels, height, width)
    names = tuple(
        f"y {top}-{min(top + side, height) - 1}, x {left}-{min(left + side, width) - 1}"
        for top in range(0, height, side)
        for left in range(0, width, side)
    )
    return Features(names=names, index=index, continuous=torch.ones(len(names), dtype=torch.bool))
