"""Training recipes. To add one: write its file with ``loss``, then name it in the union below.

Read ``recipe.py``, ``standard.py``, then ``attacking.py`` and ``pgd.py``; the adversarial ones
depart from it in one line each. ``starts.py`` has warm restarts. ``bounds.py``, ``ibp.py`` and what
follows from it train what can be proven.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hardgate.defenses.awp import AWP
from hardgate.defenses.crown_ibp import CrownIBP
from hardgate.defenses.fgsm_rs import FGSMRS
from hardgate.defenses.ibp import IBP
from hardgate.defenses.mart import MART
from hardgate.defenses.mtl_ibp import MTLIBP
from hardgate.defenses.n_fgsm import NFGSM
from hardgate.defenses.pgd import PGD
from hardgate.defenses.standard import Standard
from hardgate.defenses.trades import TRADES

Defense = Annotated[
    Standard | FGSMRS | NFGSM | PGD | TRADES | MART | AWP | IBP | CrownIBP | MTLIBP,
    Field(discriminator="recipe"),
]

__all__ = [
    "AWP",
    "FGSMRS",
    "IBP",
    "MART",
    "MTLIBP",
    "NFGSM",
    "PGD",
    "TRADES",
    "CrownIBP",
    "Defense",
    "Standard",
]
