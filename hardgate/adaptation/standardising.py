"""New statistics of the inputs: what was standardised by the old data's mean is by the new's.

Li, Wang, Shi, Hou and Liu (2018), "Adaptive batch normalization for practical domain adaptation",
renew the statistics of batch norm on new data and leave every weight. Our networks standardise at
one place, their first layer, so it is done there. It undoes a change of unit, of exposure or of
price level, and it takes away what truly moved as well: look at the gain before you use it.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from hardgate import samples
from hardgate.architectures.ft_transformer import Tokenizer
from hardgate.architectures.inputs import Normalise, TableEncoder
from hardgate.errors import ContractError


def renewed(model: nn.Module, inputs: Tensor) -> nn.Module:
    """Give the model with the mean and deviation of ``inputs`` in its first layer.

    Raises
    ------
    ContractError
        If it has no layer that standardises.
    """
    found = copy.deepcopy(model)
    for layer in found.modules():
        if isinstance(layer, Normalise):
            pixels = samples.as_floats(inputs)
            _set(layer, pixels.mean((0, 2, 3)), pixels.transpose(0, 1).flatten(1).std(1))
            return found
        if isinstance(layer, TableEncoder | Tokenizer):
            columns = inputs[:, layer.numeric.cpu()].double()
            mean = columns.nanmean(0)
            _set(layer, mean, (columns - mean).square().nanmean(0).sqrt())
            return found
    raise ContractError(f"{type(model).__name__} has no layer that standardises its inputs")


def _set(layer: Normalise | TableEncoder | Tokenizer, mean: Tensor, scale: Tensor) -> None:
    """Renew what is known: a column without a number or without spread keeps its statistics."""
    mean, scale = (one.view(layer.mean.shape).to(layer.mean) for one in (mean, scale))
    known = mean.isfinite() & (scale > 0)
    layer.mean = torch.where(known, mean, layer.mean)
    layer.scale = torch.where(known, scale, layer.scale)
