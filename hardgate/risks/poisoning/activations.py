"""Training samples that the candidate puts in their class for another reason than their like.

Two ways to suspect: Tran, Li and Madry (2018), "Spectral signatures in backdoor attacks", by the
directions in which the last activations of a class vary most; Chen et al. (2018), "Detecting
backdoor attacks on deep neural networks by activation clustering", as the smaller of two clusters.
Clean classes have outliers and clusters too, so suspicion is not guilt: as in the latter paper, a
model is trained without the suspects, and those are counted to which it gives another class, and
surely, than label and candidate do. What a sound class holds of them is the noise of two models.
"""

from __future__ import annotations

import torch
from torch import Tensor

DIRECTIONS = 10  # that clusters are looked for in
ROUNDS = 20


def outlying(activations: Tensor, *, share: float, directions: int) -> list[Tensor]:
    """Tell which lie farthest along each direction of most variance, shape ``(n,)`` each.

    The paper takes the first direction; where the poison is few, how a class is written varies
    more.
    """
    centred = activations - activations.mean(0)
    along = (centred @ _directions(centred, directions)).abs()
    found = []
    for each in along.unbind(1):
        suspects = torch.zeros(len(each), dtype=torch.bool)
        suspects[each.topk(int(share * len(each))).indices] = True
        found.append(suspects)
    return found


def smaller_cluster(activations: Tensor) -> Tensor:
    """Tell which form the smaller of two clusters, shape ``(n,)``."""
    centred = activations - activations.mean(0)
    reduced = centred @ _directions(centred, DIRECTIONS)
    second = reduced[:, 0] > 0
    for _ in range(ROUNDS):
        if bool(second.all()) or not bool(second.any()):
            break
        centres = torch.stack([reduced[~second].mean(0), reduced[second].mean(0)])
        second = torch.cdist(reduced, centres).argmin(1) == 1
    return second if int(second.sum()) * 2 <= len(second) else ~second


def _directions(centred: Tensor, count: int) -> Tensor:
    """Give the directions of most variance as columns, the first one first."""
    vectors: Tensor = torch.linalg.eigh((centred.T @ centred).double()).eigenvectors
    return vectors.flip(1)[:, :count].float()
