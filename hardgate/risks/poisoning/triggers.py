"""A small patch that turns inputs of every other class into one class.

Wang et al. (2019), "Neural Cleanse: identifying and mitigating backdoor attacks in neural
networks", look for the smallest mask that always works, and suspect a class whose mask is much
smaller than the others'. Descent on a free mask finds shadows of every digit and misses a patch in
a corner, so windows of a given size are tried instead, everywhere, and the best of them longer.
What is measured is what a patch reaches on images that it was not made from: a share with an
interval, which means the same for two classes as for ten, and which stays small for a network that
is sensitive everywhere, because one patch must work for all inputs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from hardgate import progress
from hardgate.records import Radius, Record

STEP = 0.3  # of the pixel range, at first; the last step is a tenth of it
PIXELS_AT_ONCE = 2_000_000


class Patches(NamedTuple):
    """Patches under trial: the class each is for, where it is put, and what it shows."""

    target: Tensor  # (p,)
    window: Tensor  # (p, 1, h, w), 1 within
    pattern: Tensor  # (p, c, h, w)

    def take(self, index: Tensor) -> Patches:
        """Select some."""
        return Patches(self.target[index], self.window[index], self.pattern[index])


class TriggerSearch(Record):
    """A search of square windows, ``side`` of the image's shorter side.

    Every window is tried for ``scan_steps`` on ``scan_samples`` images and every class; the best
    ``kept`` of each class for ``steps`` on ``batch_size``. Half of ``samples`` test images are what
    patches are made from, the other half what they are tried on.
    """

    side: Radius = Field(lt=1)
    scan_steps: PositiveInt
    scan_samples: PositiveInt
    kept: PositiveInt
    steps: PositiveInt
    batch_size: PositiveInt
    samples: int = Field(ge=2)

    def search(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        *,
        classes: int,
        generator: torch.Generator,
    ) -> Patches:
        """Give the best patch found for each class, in the order of the classes."""
        windows = _windows(images, self.side)
        pairs = torch.cartesian_prod(torch.arange(classes), torch.arange(len(windows)))
        pattern = torch.full((len(pairs), *images.shape[1:]), 0.5, device=images.device)
        patches = Patches(pairs[:, 0].to(images.device), windows[pairs[:, 1]], pattern)
        some = torch.randperm(len(images), generator=generator)[: self.scan_samples]
        patches, loss = _improve(model, patches, images[some], labels[some], self.scan_steps)
        patches = patches.take(_best(patches.target, loss, classes, self.kept))
        some = torch.randperm(len(images), generator=generator)[: self.batch_size]
        patches, loss = _improve(model, patches, images[some], labels[some], self.steps)
        return patches.take(_best(patches.target, loss, classes, 1))


def stamp(images: Tensor, window: Tensor, pattern: Tensor) -> Tensor:
    """Put a pattern on images within a window."""
    return images + window * (pattern - images)


def _improve(
    model: nn.Module, patches: Patches, images: Tensor, labels: Tensor, steps: int
) -> tuple[Patches, Tensor]:
    """Follow the gradient's sign with ever smaller steps; give the best patterns and their loss."""
    at_once = max(1, PIXELS_AT_ONCE // images.numel())
    chunks = torch.split(torch.arange(len(patches.target)), at_once)
    found = [
        _descend(model, patches.take(chunk), images, labels, steps)
        for chunk in progress.track(chunks, "triggers")
    ]
    pattern, loss = (torch.cat(parts) for parts in zip(*found, strict=True))
    return patches._replace(pattern=pattern), loss


def _descend(
    model: nn.Module, patches: Patches, images: Tensor, labels: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    pattern, best = patches.pattern, patches.pattern
    least = torch.full((len(pattern),), math.inf, device=pattern.device)
    momentum = torch.zeros_like(pattern)
    for step in range(steps + 1):
        progress.heed()
        pattern = pattern.detach().requires_grad_()
        loss = _losses(model, patches._replace(pattern=pattern), images, labels)
        better = loss.detach() < least
        least = torch.where(better, loss.detach(), least)
        best = torch.where(better.view(-1, 1, 1, 1), pattern.detach(), best)
        if step == steps:
            break
        (gradient,) = torch.autograd.grad(loss.sum(), pattern)
        size = gradient.abs().sum((1, 2, 3), keepdim=True).clamp(min=1e-30)
        momentum = 0.7 * momentum + gradient / size
        rate = STEP * (1 - 0.9 * step / steps)
        pattern = (pattern.detach() - rate * momentum.sign()).clamp(0, 1)
    return best, least


def _losses(model: nn.Module, patches: Patches, images: Tensor, labels: Tensor) -> Tensor:
    """Give each patch's mean loss on images of other classes than its target, shape ``(p,)``."""
    stamped = stamp(images.unsqueeze(0), patches.window.unsqueeze(1), patches.pattern.unsqueeze(1))
    target = patches.target.repeat_interleave(len(images))
    entropy = functional.cross_entropy(model(stamped.flatten(0, 1)), target, reduction="none")
    foreign = (labels.unsqueeze(0) != patches.target.unsqueeze(1)).float()
    summed = (entropy.view(len(foreign), -1) * foreign).sum(1)
    mean: Tensor = summed / foreign.sum(1).clamp(min=1)
    return mean


def _windows(images: Tensor, share: float) -> Tensor:
    """Give square windows that overlap by half, shape ``(w, 1, height, width)``."""
    _, _, height, width = images.shape
    side = max(1, round(share * min(height, width)))
    corners = [
        sorted({*range(0, extent - side, (side + 1) // 2), extent - side})
        for extent in (height, width)
    ]
    windows = torch.zeros(len(corners[0]) * len(corners[1]), 1, height, width)
    for at, (top, left) in enumerate((t, m) for t in corners[0] for m in corners[1]):
        windows[at, :, top : top + side, left : left + side] = 1
    return windows.to(images.device)


def _best(target: Tensor, loss: Tensor, classes: int, kept: int) -> Tensor:
    """Give the positions of the patches of least loss, so many of each class."""
    found = []
    for label in range(classes):
        members = torch.nonzero(target == label)[:, 0]
        found.append(members[loss[members].argsort()[:kept]])
    return torch.cat(found)
