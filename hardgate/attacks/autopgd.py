"""Projected gradient ascent that sets its own step sizes, for many attempts per input at once.

Croce and Hein (2020), "Reliable evaluation of adversarial robustness with an ensemble of diverse
parameter-free attacks", arXiv:2003.01690: steps with momentum; at checkpoints that come ever
sooner, an attempt that stopped gaining halves its step and goes back to the best point it saw.

What is our own is the order of work, and it changes no attempt. An attempt is an input and a target
class, or an input and a restart. All attempts stand in one queue, the most promising targets of all
inputs first, and are climbed a full batch at a time; an input that is broken takes all its
attempts out of the queue and, every few steps, out of the batch. A step costs one forward and one
backward pass: its logits say as well which inputs are broken.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from hardgate.attacks.ascent import margin
from hardgate.attacks.losses import Loss
from hardgate.region import Region

MOMENTUM = 0.75  # the paper's alpha: the share of the new step
ENOUGH = 0.75  # the paper's rho: the share of steps that must gain
FIRST, SOONER, SHORTEST = 0.22, 0.03, 0.06  # of all steps: the paper's checkpoints
SHRINK_EVERY = 5  # steps
ROWS = 256  # attempts at once on a processor: more are no faster, and leave its cache
ROWS_CUDA = 8192


def search(
    model: nn.Module,
    clean: Tensor,
    labels: Tensor,
    aims: Tensor,
    region: Region,
    *,
    loss: Loss,
    steps: int,
    generator: torch.Generator,
    starts: Tensor | None = None,
) -> Tensor:
    """Climb a loss from a random start once per aim, until the model errs.

    Parameters
    ----------
    clean
        Inputs, left untouched.
    aims
        Target classes, shape ``(n, attempts)``, the most promising first. A loss without
        targets ignores their values and takes the columns as restarts.
    steps
        Forward and backward passes per attempt; one more forward pass follows.
    starts
        Where to start instead, in the region, shape ``(n, ...)``.

    Returns
    -------
    Tensor
        A misclassified input where one was found, else the attempt that ended closest to one.
    """
    found = _Found(clean)
    rows = ROWS_CUDA if clean.is_cuda else ROWS
    owners = torch.arange(len(clean), device=clean.device).repeat(aims.shape[1])
    targets = aims.t().flatten()
    while len(owners):
        now = owners[:rows]
        start = region.start(clean[now], generator) if starts is None else starts[now]
        attempts = _kind(region).begin(now, clean[now], labels[now], targets[:rows], start, region)
        _climb(model, attempts, found, region, loss=loss, steps=steps)
        left = ~found.broken[owners]
        left[:rows] = False
        owners, targets = owners[left], targets[left]
    return found.inputs


def _kind(region: Region) -> type[Attempts]:
    if region.norm != "L1":
        return Attempts
    from hardgate.attacks.sparse_ascent import SparseAttempts  # which stands on this module

    return SparseAttempts


class _Found:
    """The worst input found per original so far."""

    def __init__(self, clean: Tensor) -> None:
        self.inputs = clean.clone()
        self.margins = clean.new_full((len(clean),), torch.inf)
        self.broken = torch.zeros(len(clean), dtype=torch.bool, device=clean.device)

    def take(self, owners: Tensor, inputs: Tensor, margins: Tensor, wrong: Tensor) -> None:
        """Take what beats the margin found before; of several for one original, the worst."""
        lowest = self.margins.scatter_reduce(0, owners, margins, "amin")
        better = (margins < self.margins[owners]) & (margins == lowest[owners])
        self.inputs[owners[better]] = inputs[better]
        self.margins = lowest
        self.broken[owners[wrong]] = True


@dataclass
class Attempts:
    """The state of a batch of attempts: one row each in every tensor."""

    longest: ClassVar[float] = 2.0  # the paper's first step, in radii

    owners: Tensor  # (r,), which input is attacked
    clean: Tensor  # (r, ...)
    labels: Tensor
    targets: Tensor
    point: Tensor  # (r, ...)
    previous: Tensor
    gradient: Tensor
    best_point: Tensor
    best_gradient: Tensor
    best_loss: Tensor  # (r,)
    best_margin: Tensor
    step_size: Tensor
    gains: Tensor  # steps since the last checkpoint that raised the loss
    last_loss: Tensor
    marked_loss: Tensor  # the best loss at the last checkpoint
    halved: Tensor  # whether the last checkpoint halved the step

    @classmethod
    def begin(
        cls,
        owners: Tensor,
        clean: Tensor,
        labels: Tensor,
        targets: Tensor,
        start: Tensor,
        region: Region,
    ) -> Self:
        """Stand at the start, with the longest step."""
        low = clean.new_full((len(clean),), -torch.inf)
        return cls(
            owners=owners,
            clean=clean,
            labels=labels,
            targets=targets,
            point=start,
            previous=start,
            gradient=torch.zeros_like(start),
            best_point=start.clone(),
            best_gradient=torch.zeros_like(start),
            best_loss=low,
            best_margin=-low,
            step_size=clean.new_full((len(clean),), cls.longest * region.eps),
            gains=torch.zeros_like(owners),
            last_loss=low,
            marked_loss=low,
            halved=torch.zeros_like(owners, dtype=torch.bool),
        )

    @staticmethod
    def checkpoints(steps: int) -> frozenset[int]:
        """List the steps after which step sizes are looked at."""
        marks, before, at = [], 0.0, FIRST
        while at <= 1:
            marks.append(ceil(round(at * steps, 6)))  # 57.00000001 is 57
            before, at = at, at + max(at - before - SOONER, SHORTEST)
        return frozenset(marks)

    def shrink(self, keep: Tensor) -> None:
        """Keep some rows only."""
        if bool(keep.all()):
            return
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name)[keep])

    def see(self, losses: Tensor, margins: Tensor, gradient: Tensor) -> None:
        """Take in what the model says to the point."""
        self.gains += losses > self.last_loss
        better = losses > self.best_loss
        self.gradient = gradient
        self.best_point[better] = self.point[better]
        self.best_gradient[better] = gradient[better]
        self.best_loss = torch.where(better, losses, self.best_loss)
        self.best_margin = torch.where(better, margins, self.best_margin)
        self.last_loss = losses

    def move(self, region: Region, *, momentum: float) -> None:
        """Step along the gradient, and on in the direction of the last move."""
        size = _per_row(self.step_size, self.point)
        ahead = region.project(self.point + region.step(self.gradient, size), self.clean)
        if momentum < 1:
            drift = self.point - self.previous
            ahead = ahead.sub_(self.point).mul_(momentum).add_(drift, alpha=1 - momentum)
            ahead = region.project(ahead.add_(self.point), self.clean)
        self.previous, self.point = self.point, ahead

    def mark(self, length: int) -> None:
        """Halve the steps of attempts that stopped gaining, and send them back to their best."""
        stuck = ~self.halved & (self.best_loss == self.marked_loss)
        halve = (self.gains < ENOUGH * length) | stuck
        self.step_size = torch.where(halve, self.step_size / 2, self.step_size)
        back = _per_row(halve, self.point)
        self.point = torch.where(back, self.best_point, self.point)
        self.previous = torch.where(back, self.point, self.previous)
        self.gradient = torch.where(back, self.best_gradient, self.gradient)
        self.last_loss = torch.where(halve, self.best_loss, self.last_loss)
        self.gains, self.halved, self.marked_loss = (
            torch.zeros_like(self.gains),
            halve,
            self.best_loss,
        )


def _climb(
    model: nn.Module,
    attempts: Attempts,
    found: _Found,
    region: Region,
    *,
    loss: Loss,
    steps: int,
) -> None:
    """Let a batch of attempts climb; leave in ``found`` what they found."""
    marks = attempts.checkpoints(steps)
    marked = 0
    for step in range(steps + 1):
        logits, losses, gradient = _ask(model, attempts, loss, differentiate=step < steps)
        margins = margin(logits, attempts.labels)
        wrong = logits.argmax(dim=1) != attempts.labels
        if wrong.any():
            owners = attempts.owners[wrong]
            found.take(owners, attempts.point[wrong], margins[wrong], torch.ones_like(owners) > 0)
        attempts.see(losses, margins, gradient)
        if step == steps:
            break
        if step in marks:
            attempts.mark(step - marked)
            marked = step
        if step % SHRINK_EVERY == 0 or len(attempts.owners) < SHRINK_EVERY:
            attempts.shrink(~found.broken[attempts.owners])
            if len(attempts.owners) == 0:
                return
        attempts.move(region, momentum=MOMENTUM if step else 1.0)
    left = ~found.broken[attempts.owners]
    attempts.shrink(left)
    found.take(
        attempts.owners, attempts.best_point, attempts.best_margin, torch.zeros_like(left[left])
    )


def _ask(
    model: nn.Module, attempts: Attempts, loss: Loss, *, differentiate: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Give logits, losses and, from the same pass, gradients with respect to the points.

    A model that cuts its graph has a gradient of zero: that is a finding, not an error.
    """
    with torch.set_grad_enabled(differentiate):
        point = attempts.point.detach().requires_grad_(differentiate)
        logits = model(point)
        losses = loss(logits, attempts.labels, attempts.targets)
        total = losses.sum()
    gradient = None
    if total.requires_grad:
        (gradient,) = torch.autograd.grad(total, point, allow_unused=True)
    nothing = torch.zeros_like(attempts.point) if gradient is None else gradient
    return logits.detach(), losses.detach(), nothing


def _per_row(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 1))
