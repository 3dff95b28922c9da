"""What our own attacks on table rows share."""

from __future__ import annotations

import torch
from torch import Tensor

from hardgate.attacks.ascent import margin
from hardgate.errors import ContractError, ParamsError
from hardgate.records import InputSpec
from hardgate.region import Region, TableRegion


class Worst:
    """The worst admissible row seen so far per sample: the one with the lowest margin.

    It starts with the clean rows; that is why an attack never returns something better than them.
    """

    def __init__(self, clean: Tensor, labels: Tensor, logits: Tensor) -> None:
        self.clean, self.labels = clean, labels
        self.inputs = clean.clone()
        self.margins = margin(logits, labels)

    def see(self, rows: Tensor, logits: Tensor) -> Tensor:
        """Keep the rows that are worse than what was seen before; give all margins, ``(n,)``."""
        margins = margin(logits, self.labels)
        worse = margins < self.margins  # NaN is not worse
        self.margins = torch.where(worse, margins, self.margins)
        self.inputs[worse] = rows[worse]
        return margins


def check_table(name: str, spec: InputSpec) -> None:
    """Refuse images with a ParamsError."""
    if spec.kind != "table":
        raise ParamsError(
            f"the attack {name!r} takes tables, the data are images; "
            "use 'pgd', 'apgd-ce', 'apgd-t' and 'square'"
        )


def table_region(name: str, region: Region) -> TableRegion:
    """Refuse a region of images, which the check of params lets nobody write, as a contract."""
    if not isinstance(region, TableRegion):
        raise ContractError(f"{name} takes a region of table rows, not {type(region)}")
    return region
