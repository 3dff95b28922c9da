"""Balls of images that are cut off at 0 and 1: projections onto them, and draws from them.

The projection onto an L1 ball and the box at once, exact and not one after the other, is that of
Croce and Hein (2021), "Mind the box: l1-APGD for sparse adversarial attacks on image classifiers",
arXiv:2103.01208; the one onto so many pixels is that of Croce and Hein (2019), "Sparse and
imperceivable adversarial attacks", arXiv:1909.05040. The L0 norm counts pixels, whatever happens
to their channels.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pixels(eps: float) -> int:
    """Count the pixels that an L0 radius allows; a scaled one is rounded down."""
    return int(eps + 1e-6)


def project_l1(perturbed: Tensor, clean: Tensor, eps: float) -> Tensor:
    """Give the nearest images with pixels in [0, 1] and an L1 distance of at most ``eps``.

    Each change shrinks by the same amount, none beyond zero, and stops at the box. How much is
    found exactly: the length left is piecewise linear in it, and bends only where a change leaves
    the box's edge or reaches zero.
    """
    change = (perturbed - clean).flatten(1)
    start = clean.flatten(1)
    sign = change.sign()
    room = torch.where(sign > 0, 1 - start, start)
    sizes = change.abs()
    outside = torch.minimum(sizes, room).sum(dim=1) > eps
    if outside.any():
        shrink = torch.zeros_like(sizes[:, :1])
        shrink[outside] = _shrinkage(sizes[outside], room[outside], eps)
        sizes = (sizes - shrink).clamp_(min=0)
    moved = start + sign * torch.minimum(sizes, room)
    return moved.clamp_(0, 1).view_as(clean)


def _shrinkage(sizes: Tensor, room: Tensor, eps: float) -> Tensor:
    """Find by how much changes too long for the ball must shrink, shape ``(n, 1)``.

    From the largest shrinkage down, the length grows by one per change between the bend where it
    leaves zero, its size, and the bend where it meets the box, its size less its room.
    """
    bends = torch.cat([sizes, (sizes - room).clamp(min=0)], dim=1).double()
    slopes = torch.ones_like(bends)
    slopes[:, sizes.shape[1] :] = -1
    bends, order = bends.sort(dim=1, descending=True)
    slopes = slopes.gather(1, order).cumsum(dim=1)
    below = torch.cat([bends[:, 1:], torch.zeros_like(bends[:, :1])], dim=1)
    lengths = (slopes * (bends - below)).cumsum(dim=1)  # of what is left, at each bend below
    at = (lengths < eps).sum(dim=1, keepdim=True).clamp(max=bends.shape[1] - 1)
    excess = (lengths.gather(1, at) - eps).clamp(min=0)
    found = below.gather(1, at) + excess / slopes.gather(1, at).clamp(min=1)
    return found.to(sizes)


def project_l0(perturbed: Tensor, clean: Tensor, eps: float) -> Tensor:
    """Give the nearest images with pixels in [0, 1], of which at most ``eps`` differ from clean."""
    inside = perturbed.clamp(0, 1)
    gain = ((perturbed - clean) ** 2 - (perturbed - inside) ** 2).sum(dim=1).flatten(1)
    chosen = torch.zeros_like(gain, dtype=torch.bool)
    chosen.scatter_(1, gain.topk(min(pixels(eps), gain.shape[1]), dim=1).indices, True)
    shape = (len(clean), 1, *clean.shape[2:])
    return torch.where(chosen.view(shape), inside, clean)


def changed_pixels(perturbed: Tensor, clean: Tensor) -> Tensor:
    """Count the pixels that differ at all, shape ``(n,)``."""
    return (perturbed != clean).any(dim=1).flatten(1).sum(dim=1)


def draw_l1(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw changes of an L1 length in [0, 1], in any direction."""
    where = generator.device
    tails = torch.rand(like.shape, generator=generator, device=where).clamp_(min=1e-12).log_()
    signs = torch.randint(2, like.shape, generator=generator, device=where) * 2 - 1
    lengths = torch.rand(len(like), generator=generator, device=where).to(like)
    return along_l1((tails * signs).to(like)) * lengths.view(-1, *[1] * (like.dim() - 1))


def draw_l0(clean: Tensor, eps: float, generator: torch.Generator) -> Tensor:
    """Paint ``eps`` random pixels of each image anew."""
    where = generator.device
    ranks = torch.rand(len(clean), *clean.shape[2:], generator=generator, device=where)
    painted = torch.rand(clean.shape, generator=generator, device=where).to(clean)
    most = ranks.flatten(1).topk(min(pixels(eps), ranks[0].numel()), dim=1).indices
    chosen = torch.zeros_like(ranks.flatten(1), dtype=torch.bool).scatter_(1, most, True)
    return torch.where(chosen.view(ranks.shape).unsqueeze(1).to(clean.device), painted, clean)


def along_l1(vectors: Tensor) -> Tensor:
    """Scale each vector to an L1 length of 1; zero stays zero."""
    lengths = vectors.flatten(1).abs().sum(dim=1).clamp(min=1e-12)
    return vectors / lengths.view(-1, *[1] * (vectors.dim() - 1))
