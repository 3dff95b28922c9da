"""Samples that lie far from all others of their class, or in a burst of almost the same one.

The distance to the k-th neighbour, Ramaswamy, Rastogi and Shim (2000), "Efficient algorithms for
mining outliers from large data sets", in units of what is usual in the class: poison that repeats
one sample lies much nearer, poison that looks like nothing else much farther.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hardgate import progress
from hardgate.architectures.inputs import TableEncoder
from hardgate.records import InputSpec, TableInput
from hardgate.samples import Samples

SIDE = 14  # pixels; larger images are shrunk: a copy stays one
AT_ONCE = 1000


def distances(spec: InputSpec, samples: Samples, *, neighbour: int) -> NDArray[np.float64]:
    """Measure how far the k-th neighbour of the same class is; 1 is the class's median.

    Returns
    -------
    NDArray
        Shape ``(n,)``; 1 throughout a class that has no k-th neighbours. Where more than half of
        a class are copies its median is no yardstick, so a distance of 0 counts as 0.
    """
    places = _places(spec, samples)
    found = torch.ones(len(samples))
    for label in torch.from_numpy(np.unique(samples.labels.numpy())):
        members = torch.nonzero(samples.labels == label)[:, 0]
        if len(members) <= neighbour:
            continue
        far = _to_neighbour(places[members], neighbour)
        usual = far.median()
        found[members] = far / usual if usual > 0 else far
    return found.double().numpy()


def _to_neighbour(places: Tensor, neighbour: int) -> Tensor:
    """Give the distance to the k-th nearest other place, shape ``(n,)``."""
    squares = places.square().sum(1)
    found = []
    for chunk in torch.split(torch.arange(len(places)), AT_ONCE):
        progress.heed()
        apart = squares - 2 * places[chunk] @ places.T  # less the square of the place itself
        nearest = apart.topk(neighbour + 1, largest=False).values[:, -1] + squares[chunk]
        found.append(nearest.clamp(min=0).sqrt())
    return torch.cat(found)


def _places(spec: InputSpec, samples: Samples) -> Tensor:
    """Put samples where distances mean something: small images, columns in deviations."""
    if isinstance(spec, TableInput):
        encoded: Tensor = TableEncoder(spec, squash=True)(samples.inputs)
        return encoded
    side = min(SIDE, *spec.shape[1:])
    return functional.adaptive_avg_pool2d(samples.floats(), side).flatten(1)
