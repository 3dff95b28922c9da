"""A ladder of attacks as one attack: each rung sees only what survived those before it.

The worst case per image, as in Croce and Hein (2020), arXiv:2003.01690. What a rung alone would
have found is not known: :mod:`hardgate.cascade` counts what each rung added to those before it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self, get_args

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from hardgate.attacks.apgd import APGDCE, APGDDLR, APGDT
from hardgate.attacks.ascent import frozen, margin
from hardgate.attacks.images import (
    FGSM,
    PGD,
    TorchattacksAPGDCE,
    TorchattacksAPGDT,
    TorchattacksSquare,
)
from hardgate.attacks.on_images import OnImages
from hardgate.attacks.rays import RayS
from hardgate.attacks.relay import Relay
from hardgate.attacks.simba import SimBA
from hardgate.attacks.sparse_rs import SparseRS
from hardgate.attacks.square import Square
from hardgate.records import InputSpec, Norm
from hardgate.region import Region
from hardgate.threat import Threat

# Every attack on images; the union of all attacks takes them from here.
Rung = (
    FGSM
    | PGD
    | APGDCE
    | APGDDLR
    | APGDT
    | Square
    | SparseRS
    | RayS
    | SimBA
    | Relay
    | TorchattacksAPGDCE
    | TorchattacksAPGDT
    | TorchattacksSquare
)


class Cascade(OnImages):
    """Attacks in the order given, cheap ones first."""

    norms: ClassVar[tuple[Norm, ...]] = get_args(Norm)
    name: Literal["cascade"]
    rungs: tuple[Annotated[Rung, Field(discriminator="name")], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _rungs_are_named_once(self) -> Self:
        names = [rung.name for rung in self.rungs]
        if len(set(names)) < len(names):
            raise ValueError(f"a rung is named twice in {names}")
        return self

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Refuse what any rung refuses."""
        super().check(spec, threat)
        for rung in self.rungs:
            rung.check(spec, threat)

    def scaled(self, factor: float) -> Self:
        """Scale every rung."""
        return self.model_copy(update={"rungs": tuple(rung.scaled(factor) for rung in self.rungs)})

    def perturb(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        threat: Threat,
        region: Region,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """Keep the worst that any rung found."""
        with frozen(model):
            worst, margins = inputs.clone(), _margins(model, inputs, labels)
            for rung in self.rungs:
                left = (margins >= 0).nonzero().flatten()
                if len(left) == 0:
                    break
                found = rung.perturb(
                    model, inputs[left], labels[left], threat, region, generator=generator
                )
                said = _margins(model, found, labels[left])
                lower = said < margins[left]
                worst[left[lower]], margins[left[lower]] = found[lower], said[lower]
        return worst


def _margins(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        return margin(model(inputs), labels)
