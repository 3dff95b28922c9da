"""A transformer over columns: one token per column, attention between them.

Gorishniy, Rubachev, Khrulkov and Babenko (2021), "Revisiting deep learning models for tabular
data", arXiv:2106.11959.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from hardgate.architectures.inputs import (
    categorical_columns,
    constant,
    numeric_columns,
    only_tables,
    standardise,
)
from hardgate.records import InputSpec, Rate, Record, TableInput


class FTTransformer(Record):
    """``blocks`` layers of attention with ``heads`` heads over tokens of ``width`` numbers."""

    name: Literal["ft-transformer"]
    width: PositiveInt = 32
    blocks: PositiveInt = 2
    heads: PositiveInt = 4
    dropout: Rate = 0.0
    squash: bool = False

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self

    def build(self, spec: InputSpec) -> nn.Module:
        """Build the untrained network."""
        table = only_tables(spec, self.name)
        return nn.Sequential(
            Tokenizer(table, width=self.width, squash=self.squash),
            *(
                Attend(self.width, heads=self.heads, dropout=self.dropout)
                for _ in range(self.blocks)
            ),
            Summary(self.width, classes=len(table.classes)),
        )


class Tokenizer(nn.Module):
    """Turn rows, shape ``(n, columns)``, into tokens, shape ``(n, 1 + columns, width)``.

    A number scales its column's direction and adds the column's bias; a missing number gives a
    learned token of its own, and so does a missing category. The first token is the summary's.
    """

    numeric: Tensor
    mean: Tensor
    scale: Tensor
    categorical: Tensor
    offset: Tensor

    def __init__(self, spec: TableInput, *, width: int, squash: bool) -> None:
        super().__init__()
        numbers, categories = numeric_columns(spec), categorical_columns(spec)
        sizes = [len(column.categories) + 1 for _, column in categories]
        self.squash = squash
        constant(self, "numeric", torch.tensor([position for position, _ in numbers]).long())
        constant(self, "mean", torch.tensor([column.mean for _, column in numbers]))
        constant(self, "scale", torch.tensor([column.scale for _, column in numbers]))
        constant(self, "categorical", torch.tensor([at for at, _ in categories]).long())
        # Row 0 of each column's part of the table stands for "missing", hence the 1.
        constant(
            self, "offset", torch.tensor([1 + sum(sizes[:i]) for i in range(len(sizes))]).long()
        )
        self.direction = _learned(len(numbers), width)
        self.bias = _learned(len(numbers), width)
        self.absent = _learned(len(numbers), width)
        self.table = _learned(max(sum(sizes), 1), width)
        self.summary = _learned(1, width)

    def forward(self, rows: Tensor) -> Tensor:
        """Tokenize rows in raw units."""
        numbers = rows.index_select(1, self.numeric)
        missing = torch.isnan(numbers)
        scaled = standardise(numbers, missing, mean=self.mean, scale=self.scale)
        if self.squash:
            scaled = torch.asinh(scaled)
        present = scaled.unsqueeze(2) * self.direction + self.bias
        tokens = [
            self.summary.expand(len(rows), 1, -1),
            torch.where(missing.unsqueeze(2), self.absent, present),
        ]
        if len(self.categorical):
            codes = rows.detach().index_select(1, self.categorical)
            tokens.append(functional.embedding(codes.long() + self.offset, self.table))
        return torch.cat(tokens, dim=1)


class Attend(nn.Module):
    """One layer of attention and one of features, each normed first and added to its input."""

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.attention_in = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.features = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens, shape ``(n, tokens, width)``, to tokens."""
        samples, count, width = tokens.shape
        mixed = self.attention_in(self.attention_norm(tokens))
        query, key, value = (
            mixed.view(samples, count, 3, self.heads, width // self.heads)
            .permute(2, 0, 3, 1, 4)
            .unbind(0)
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.attention_out(attended.transpose(1, 2).reshape(tokens.shape))
        features: Tensor = self.features(tokens)
        return tokens + features


class Summary(nn.Module):
    """Read the answer from the summary token."""

    def __init__(self, width: int, *, classes: int) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, classes))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens, shape ``(n, tokens, width)``, to logits, shape ``(n, classes)``."""
        logits: Tensor = self.head(tokens[:, 0])
        return logits


def _learned(rows: int, width: int) -> nn.Parameter:
    """Make weights uniform within 1 / sqrt(width), as the paper does."""
    return nn.Parameter(torch.empty(rows, width).uniform_(-(width**-0.5), width**-0.5))
