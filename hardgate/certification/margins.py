"""Certified margins: by how much the label's logit exceeds every other one, wherever in the box.

The last layer is folded into the margins, so that no bound is lost to logits that cannot be high
and low at once: Gowal et al. (2018), arXiv:1810.12715, section 3.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from hardgate import progress
from hardgate.attacks.ascent import frozen
from hardgate.certification import intervals, relaxations
from hardgate.certification.boxes import Box
from hardgate.certification.intervals import Step
from hardgate.region import Region

# How boxes are carried through, loose and fast first: intervals alone; margins pulled back to the
# inputs, intervals inside; every hidden box pulled back as well, for small networks.
Method = Literal["ibp", "crown-ibp", "crown"]
SLACK = 1e-6  # of a margin; what double precision may lose on the way back is far less


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
    if method == "ibp":
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
    What holds, holds for the network as computed in single precision: see ``rounded``.
    """
    proven = torch.zeros(len(inputs), dtype=torch.bool)
    with torch.no_grad(), frozen(model):
        for index in torch.split(torch.arange(len(inputs)), batch_size):
            progress.heed()
            for trial in _trials(method):
                left = index[~proven[index]]
                proven[left] = _proven(model, region, inputs[left], labels[left], trial).cpu()
    return proven


def _trials(method: Method) -> tuple[Method, ...]:
    return ("ibp",) if method == "ibp" else ("ibp", method)


def _proven(
    model: nn.Module, region: Region, inputs: Tensor, labels: Tensor, method: Method
) -> Tensor:
    """Try one method on a batch; in double precision only what single precision lets through."""
    proven = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
    carry = relaxations.propagate if method == "crown" else intervals.propagate
    left = torch.arange(len(inputs), device=inputs.device)
    for rounded in (False, True):
        if len(left) == 0:
            return proven
        steps = carry(model, Box(*region.box(inputs[left])), rounded=rounded)
        least = smallest(margins(steps, labels[left], method, rounded=rounded), labels[left])
        left = left[least > SLACK]
    proven[left] = True
    return proven


def smallest(margins: Tensor, labels: Tensor) -> Tensor:
    """Give the smallest margin over the other classes, shape ``(n,)``."""
    return margins.scatter(1, labels.unsqueeze(1), torch.inf).amin(dim=1)
