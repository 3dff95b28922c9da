"""Evasion attacks. To add one: write its file, then name it in the union below.

Reading order: :mod:`~hardgate.attacks.ascent` (the inner loop), :mod:`~hardgate.attacks.images`
(torchattacks), :mod:`~hardgate.attacks.constrained_pgd` and
:mod:`~hardgate.attacks.constrained_search` (tables, our own). Every member has

``check(spec, threat)``
    a ParamsError when the attack is not made for that data or threat;
``perturb(model, inputs, labels, threat, region, *, generator)``
    one admissible input per input: the worst found;
``scaled(factor)``
    the same search for ``factor`` times the radius.
"""

from typing import Annotated

from pydantic import Field

from hardgate.attacks.constrained_pgd import ConstrainedPGD
from hardgate.attacks.constrained_search import ConstrainedSearch
from hardgate.attacks.images import APGDCE, APGDT, FGSM, PGD, Square

Attack = Annotated[
    FGSM | PGD | APGDCE | APGDT | Square | ConstrainedPGD | ConstrainedSearch,
    Field(discriminator="name"),
]

__all__ = [
    "APGDCE",
    "APGDT",
    "FGSM",
    "PGD",
    "Attack",
    "ConstrainedPGD",
    "ConstrainedSearch",
    "Square",
]
