"""CORAL: features of new inputs brought to the mean and covariance of the old ones'.

Sun, Feng and Saenko (2016), "Return of frustratingly easy domain adaptation"; Sun and Saenko
(2016), "Deep CORAL", arXiv:1607.01719. There old features are coloured like new ones and a
classifier is trained again; here new ones are brought back to the old, which is the same map the
other way and needs no training. The map is linear and so is the layer behind it: both become one.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from hardgate import penultimate

SHRINKAGE = 0.1  # of the mean variance, added to each: directions with nothing in them stay


def aligned(model: nn.Module, *, old: Tensor, new: Tensor, batch_size: int) -> nn.Module:
    """Give the model with the map from new features to old ones in its last layer.

    ``old`` are inputs that it was not trained on: features are sharper on those it knows.
    """
    before, after = (
        penultimate.features(model, inputs, batch_size=batch_size).double() for inputs in (old, new)
    )
    ridge = SHRINKAGE * before.var(0).mean()
    turn = _power(_covariance(after, ridge), -0.5) @ _power(_covariance(before, ridge), 0.5)
    found = copy.deepcopy(model)
    head = penultimate.head(found)
    weight, mean = head.weight.detach().double().cpu(), before.mean(0) - after.mean(0) @ turn
    with torch.no_grad():
        head.bias.add_((weight @ mean).to(head.bias))
        head.weight.copy_((weight @ turn.T).to(head.weight))
    return found


def _covariance(features: Tensor, ridge: Tensor) -> Tensor:
    return torch.cov(features.T) + ridge * torch.eye(features.shape[1], dtype=features.dtype)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    powered: Tensor = vectors * values.clamp(min=1e-12) ** exponent @ vectors.T
    return powered
