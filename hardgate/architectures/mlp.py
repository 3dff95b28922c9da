"""A plain multilayer perceptron, for tables and for small images."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Literal

from pydantic import Field, PositiveInt
from torch import nn

from hardgate.architectures.inputs import Normalise, TableEncoder
from hardgate.records import ImageInput, InputSpec, Rate, Record

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


class MLP(Record):
    """Linear layers of the given ``hidden`` sizes.

    Smooth activations (gelu, silu) give the attacker in training better gradients and so a
    stronger model: Xie, Tan, Gong, Yuille and Le (2020), "Smooth adversarial training",
    arXiv:2006.14536.
    """

    name: Literal["mlp"]
    hidden: tuple[PositiveInt, ...] = Field(min_length=1)
    activation: Literal["relu", "gelu", "silu"] = "relu"
    dropout: Rate = 0.0
    squash: bool = False

    def build(self, spec: InputSpec) -> nn.Module:
        """Build the untrained network."""
        layers, width = self._input(spec)
        for before, after in pairwise((width, *self.hidden)):
            layers += [nn.Linear(before, after), ACTIVATIONS[self.activation]()]
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
        return nn.Sequential(*layers, nn.Linear(self.hidden[-1], len(spec.classes)))

    def _input(self, spec: InputSpec) -> tuple[list[nn.Module], int]:
        if isinstance(spec, ImageInput):
            return [Normalise(spec), nn.Flatten()], prod(spec.shape)
        encoder = TableEncoder(spec, squash=self.squash)
        return [encoder], encoder.width
