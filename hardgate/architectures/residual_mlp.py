"""A residual network for tables.

Gorishniy, Rubachev, Khrulkov and Babenko (2021), "Revisiting deep learning models for tabular
data", arXiv:2106.11959. Layer norm stands where the paper has batch norm: a row's answer must not
depend on the rows it was asked with, least of all when an attacker chooses them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from hardgate.architectures.inputs import TableEncoder, only_tables
from hardgate.records import InputSpec, Rate, Record


class ResidualMLP(Record):
    """``blocks`` residual blocks of ``width`` units."""

    name: Literal["residual-mlp"]
    width: PositiveInt = 64
    blocks: PositiveInt = 2
    dropout: Rate = 0.0
    squash: bool = False

    def build(self, spec: InputSpec) -> nn.Module:
        """Build the untrained network."""
        table = only_tables(spec, self.name)
        encoder = TableEncoder(table, squash=self.squash)
        return nn.Sequential(
            encoder,
            nn.Linear(encoder.width, self.width),
            *(Block(self.width, self.dropout) for _ in range(self.blocks)),
            nn.LayerNorm(self.width),
            nn.ReLU(),
            nn.Linear(self.width, len(table.classes)),
        )


class Block(nn.Module):
    """Add to its input what two linear layers make of it."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map features, shape ``(n, width)``, to features."""
        branch: Tensor = self.branch(features)
        return features + branch
