"""Answers for new shares of classes, where classes look as they did.

Saerens, Latinne and Decaestecker (2002), "Adjusting the outputs of a classifier to new a priori
probabilities: a simple procedure": probabilities are multiplied by new over old shares, so logits
grow by the logarithm. The shares come from :mod:`hardgate.risks.drift.label_shift`.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from hardgate import penultimate
from hardgate.errors import ContractError

LEAST = 1e-3  # a class estimated at nothing is rare and not impossible


def adjusted(model: nn.Module, *, old: Tensor, new: Tensor) -> nn.Module:
    """Give the model with the bias of its last layer moved from old to new shares, ``(k,)`` each.

    Raises
    ------
    ContractError
        If there is not one positive old share per class.
    """
    found = copy.deepcopy(model)
    bias = penultimate.head(found).bias
    if bias.shape != old.shape or bias.shape != new.shape or not bool((old > 0).all()):
        raise ContractError(
            f"{len(bias)} classes need as many positive old shares and new ones; found "
            f"{old.tolist()} and {new.tolist()}"
        )
    ratio = new.clamp(min=LEAST) / old
    with torch.no_grad():
        bias.add_(ratio.log().to(bias))
    return found
