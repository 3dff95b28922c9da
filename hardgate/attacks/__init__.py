"""Evasion attacks. To add one: write its file, then name it in the union below.

One on images is named in ``Rung`` of :mod:`~hardgate.attacks.cascade`, and comes here from there.
Reading order: :mod:`~hardgate.attacks.ascent` (the inner loop), :mod:`~hardgate.attacks.images`
(torchattacks), :mod:`~hardgate.attacks.apgd`, :mod:`~hardgate.attacks.square`,
:mod:`~hardgate.attacks.sparse_rs`, :mod:`~hardgate.attacks.simba` and
:mod:`~hardgate.attacks.rays` (our own),
:mod:`~hardgate.attacks.constrained_pgd` and :mod:`~hardgate.attacks.constrained_search` (tables,
our own), :mod:`~hardgate.attacks.cascade` (several as one). Every member has

``check(spec, threat)``
    a ParamsError when the attack is not made for that data or threat;
``perturb(model, inputs, labels, threat, region, *, generator)``
    one admissible input per input: the worst found;
``scaled(factor)``
    the same search for ``factor`` times the radius.
"""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from hardgate.attacks.apgd import APGDCE, APGDDLR, APGDT
from hardgate.attacks.cascade import Cascade, Rung
from hardgate.attacks.constrained_pgd import ConstrainedPGD
from hardgate.attacks.constrained_relay import ConstrainedRelay
from hardgate.attacks.constrained_search import ConstrainedSearch
from hardgate.attacks.images import (
    FGSM,
    PGD,
    TorchattacksAPGDCE,
    TorchattacksAPGDT,
    TorchattacksSquare,
)
from hardgate.attacks.rays import RayS
from hardgate.attacks.relay import Relay
from hardgate.attacks.simba import SimBA
from hardgate.attacks.sparse_rs import SparseRS
from hardgate.attacks.square import Square

Attack = Annotated[
    Rung | Cascade | ConstrainedPGD | ConstrainedSearch | ConstrainedRelay,
    Field(discriminator="name"),
]


def flat(attacks: Iterable[Attack]) -> tuple[Attack, ...]:
    """List attacks, with the rungs of a cascade in its place."""
    return tuple(
        inner
        for attack in attacks
        for inner in (attack.rungs if isinstance(attack, Cascade) else (attack,))
    )


__all__ = [
    "APGDCE",
    "APGDDLR",
    "APGDT",
    "FGSM",
    "PGD",
    "Attack",
    "Cascade",
    "ConstrainedPGD",
    "ConstrainedRelay",
    "ConstrainedSearch",
    "RayS",
    "Relay",
    "SimBA",
    "SparseRS",
    "Square",
    "TorchattacksAPGDCE",
    "TorchattacksAPGDT",
    "TorchattacksSquare",
    "flat",
]
