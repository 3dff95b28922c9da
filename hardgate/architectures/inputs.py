"""Input layers: what turns raw inputs into numbers a network likes.

They live in the model, so that whoever attacks it moves raw pixels and raw amounts, and a radius
means the same to training, evaluation and serving. Their constants come from the input's
specification, not from the weights file: one source.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hardgate.errors import ParamsError
from hardgate.records import Column, ColumnType, ImageInput, InputSpec, TableInput


class Normalise(nn.Module):
    """Centre and scale the channels of images by the training split's mean and deviation."""

    mean: Tensor
    scale: Tensor

    def __init__(self, spec: ImageInput) -> None:
        super().__init__()
        scale = torch.tensor(spec.scale).view(1, -1, 1, 1)
        constant(self, "mean", torch.tensor(spec.mean).view(1, -1, 1, 1))
        constant(self, "scale", torch.where(scale > 0, scale, 1.0))  # a channel may be all black

    def forward(self, images: Tensor) -> Tensor:
        """Map images in [0, 1], shape ``(n, c, h, w)``, to centred ones."""
        return (images - self.mean) / self.scale


class Saturate(nn.Module):
    """Make pixels black up to ``margin`` and white from ``1 - margin`` on.

    Whoever moves a black or a white pixel by less than that changes nothing, which leaves bounds
    less to carry. Networks trained against a Linf attacker learn such thresholds by themselves:
    Madry et al. (2018), "Towards deep learning models resistant to adversarial attacks",
    arXiv:1706.06083, appendix C.
    """

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, images: Tensor) -> Tensor:
        """Map images in [0, 1] to images in [0, 1]."""
        return ((images - self.margin) / (1 - 2 * self.margin)).clamp(0, 1)


class TableEncoder(nn.Module):
    """Encode raw rows, shape ``(n, columns)``, as features of shape ``(n, width)``.

    A number is standardised; a missing one (NaN) becomes 0, the column's mean, and raises an
    indicator of its own. A category becomes one-hot; a missing or unknown one is all zeros.
    ``squash`` puts standardised numbers through asinh: the bulk keeps its scale, so that an
    attacker gains nothing there, and heavy tails such as amounts grow only as a logarithm.
    """

    numeric: Tensor
    mean: Tensor
    scale: Tensor
    slot_column: Tensor
    slot_code: Tensor

    def __init__(self, spec: TableInput, *, squash: bool) -> None:
        super().__init__()
        numbers = numeric_columns(spec)
        slots = [
            (position, code)
            for position, column in categorical_columns(spec)
            for code in range(len(column.categories))
        ]
        self.squash = squash
        self.width = 2 * len(numbers) + len(slots)
        constant(self, "numeric", torch.tensor([position for position, _ in numbers]).long())
        constant(self, "mean", torch.tensor([column.mean for _, column in numbers]))
        constant(self, "scale", torch.tensor([column.scale for _, column in numbers]))
        constant(self, "slot_column", torch.tensor([position for position, _ in slots]).long())
        constant(self, "slot_code", torch.tensor([float(code) for _, code in slots]))

    def forward(self, rows: Tensor) -> Tensor:
        """Encode rows in raw units."""
        numbers = rows.index_select(1, self.numeric)
        missing = torch.isnan(numbers)
        scaled = standardise(numbers, missing, mean=self.mean, scale=self.scale)
        if self.squash:
            scaled = torch.asinh(scaled)
        hot = rows.detach().index_select(1, self.slot_column) == self.slot_code
        return torch.cat([scaled, missing.to(rows.dtype), hot.to(rows.dtype)], dim=1)


def standardise(numbers: Tensor, missing: Tensor, *, mean: Tensor, scale: Tensor) -> Tensor:
    """Standardise columns; missing entries become 0 before arithmetic, so gradients stay finite."""
    return (torch.where(missing, mean, numbers) - mean) / scale


def numeric_columns(spec: TableInput) -> list[tuple[int, Column]]:
    """List real and integer columns with their positions."""
    return [(i, c) for i, c in enumerate(spec.columns) if c.type is not ColumnType.CATEGORICAL]


def categorical_columns(spec: TableInput) -> list[tuple[int, Column]]:
    """List categorical columns with their positions."""
    return [(i, c) for i, c in enumerate(spec.columns) if c.type is ColumnType.CATEGORICAL]


def constant(module: nn.Module, name: str, value: Tensor) -> None:
    """Give a module a tensor that moves with it and is no weight."""
    module.register_buffer(name, value, persistent=False)


def only_images(spec: InputSpec, name: str) -> ImageInput:
    """Refuse a table for an architecture of images."""
    if isinstance(spec, ImageInput):
        return spec
    raise ParamsError(
        f"training.architecture.name: {name!r} takes images and the data is a table; "
        "choose mlp, residual-mlp or ft-transformer"
    )


def only_tables(spec: InputSpec, name: str) -> TableInput:
    """Refuse images for an architecture of tables."""
    if isinstance(spec, TableInput):
        return spec
    raise ParamsError(
        f"training.architecture.name: {name!r} takes tables and the data is images; "
        "choose small-cnn, madry-cnn, wide-cnn, oriented-linear or mlp"
    )


def pooled(spec: ImageInput, name: str) -> int:
    """Count the pixels left per channel after halving height and width twice."""
    _, height, width = spec.shape
    if height < 4 or width < 4:
        raise ParamsError(
            f"training.architecture.name: {name!r} halves its images twice and needs at least "
            f"4 x 4 pixels; these have {height} x {width}; choose mlp"
        )
    return (height // 4) * (width // 4)
