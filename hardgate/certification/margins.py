"""Certified margins: by how much the label's logit exceeds every other one, wherever in the box.

The last layer is folded into the margins, so that no bound is lost to logits that cannot be high
and low at once: Gowal et al. (2018), arXiv:1810.12715, section 3.
"""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor, nn

from hardgate.attacks.ascent import frozen
from hardgate.certification import intervals, relaxations
from hardgate.certification.boxes import Box
from hardgate.certification.intervals import Step
from hardgate.region import Region

SLACK = 1e-6  # of a margin; what double precision may lose on the way back is far less


class Method(StrEnum):
    """How boxes are carried through a network, loose and fast first."""

    IBP = "ibp"  # intervals alone
    CROWN_IBP = "crown-ibp"  # margins pulled back to the inputs, intervals inside
    CROWN = "crown"  # every hidden box pulled back as well; for small networks


def margins(steps: list[Step], labels: Tensor, method: Method, *, rounded: bool) -> Tensor:
    """Bound each class's margin from below, shape ``(n, k)``; the label's own is zero.

    Parameters
    ----------
    steps
        From :func:`hardgate.certification.intervals.propagate`.
    rounded
        As there: also subtract what the network's own rounding can do to the margin.
    """
    rows = differences(labels, steps[-1].after.lower.shape[1]).to(steps[-1].after.lower)
    rows = rows.double() if rounded else rows
    folded = relaxations.bounded_below(steps[-1:], rows)
    if method is Method.IBP:
        return folded
    return torch.maximum(folded, relaxations.bounded_below(steps, rows))


def differences(labels: Tensor, classes: int) -> Tensor:
    """Give the functions "label's logit minus class's", shape ``(n, classes, classes)``."""
    unit = torch.eye(classes, device=labels.device)
    return unit[labels].unsqueeze(1) - unit


def certify(
    model: nn.Module,
    region: Region,
    inputs: Tensor,
    labels: Tensor,
    *,
    method: Method,
    batch_size: int,
) -> Tensor:
    """Tell for which inputs no admissible one gets another answer than the label, shape ``(n,)``.

    Each sample is tried with intervals first, and with the method only when they do not suffice.
    """
    proven = [
        _certify(model, region.box(clean), truth, method)
        for clean, truth in zip(
            torch.split(inputs, batch_size), torch.split(labels, batch_size), strict=True
        )
    ]
    return torch.cat(proven).cpu()


def _certify(
    model: nn.Module, ends: tuple[Tensor, Tensor], labels: Tensor, method: Method
) -> Tensor:
    with torch.no_grad(), frozen(model):
        box = Box(*ends)
        steps = intervals.propagate(model, box, rounded=True)
        proven = smallest(margins(steps, labels, Method.IBP, rounded=True), labels) > SLACK
        left = (~proven).nonzero().flatten()
        if method is Method.IBP or len(left) == 0:
            return proven
        carry = relaxations.propagate if method is Method.CROWN else intervals.propagate
        steps = carry(model, Box(box.lower[left], box.upper[left]), rounded=True)
        tight = margins(steps, labels[left], method, rounded=True)
        proven[left] = smallest(tight, labels[left]) > SLACK
        return proven


def smallest(margins: Tensor, labels: Tensor) -> Tensor:
    """Give the smallest margin over the other classes, shape ``(n,)``."""
    return margins.scatter(1, labels.unsqueeze(1), torch.inf).amin(dim=1)
