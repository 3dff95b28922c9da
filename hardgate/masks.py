"""Signs of masked gradients that a model's answers show by themselves, before any attack.

Each is asked of every input: is there a gradient, does it say what a small step really does, do the
logits tell of a change of decision before it comes, are the answers the same when asked in another
way, and are they logits at all? After the checklist of
Carlini et al. (2019), "On evaluating adversarial robustness", arXiv:1902.06705, and Pintor et al.
(2022), "Indicators of attack failure", arXiv:2106.09947. What attacks show when they are compared
is in :mod:`hardgate.diagnostics`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from hardgate import robustness
from hardgate.attacks.ascent import gradient_of, margin
from hardgate.region import Region

SAME_ANSWER = 1e-4  # in probability; sums in another order differ by less
SMALL_STEP = 0.01  # of the radius: short enough for a network's surface to be flat
WRONG_BY = 0.5  # of what the gradient promised; a kink on the way explains less
ROUNDING = 1e-4  # of a margin, in single precision
PARTNERS = 16  # others tried per input, until one is answered differently
HALVINGS = 16  # of the way to that one: the change of decision is between points 1/65536 apart
JUMP = 0.01  # of the whole fall, between these two; honest networks were seen to reach 0.0013


def loss_gradient(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Give the gradient of the cross-entropy, shaped as ``inputs``; missing values have none."""

    def loss(rows: Tensor) -> Tensor:
        return functional.cross_entropy(model(rows), labels, reduction="none")

    return gradient_of(loss, inputs).nan_to_num()


def has_no_gradient(model: nn.Module, region: Region, inputs: Tensor, labels: Tensor) -> Tensor:
    """Tell where the loss has no gradient that the attacker could follow, shape ``(n,)``."""
    step = region.step(loss_gradient(model, inputs, labels), 1.0)
    return ~step.flatten(1).any(dim=1)


def gradient_misleads(model: nn.Module, region: Region, inputs: Tensor, labels: Tensor) -> Tensor:
    """Tell where a small step along the gradient does not do what the gradient says, ``(n,)``.

    The margin is asked, which does not saturate as the cross-entropy does. Inputs without a
    gradient are not counted here.
    """

    def loss(rows: Tensor) -> Tensor:
        return -margin(model(rows), labels)

    gradient = gradient_of(loss, inputs).nan_to_num()
    moved = region.project(inputs + region.step(gradient, SMALL_STEP * region.eps), inputs)
    promised = (gradient * (moved - inputs).nan_to_num()).flatten(1).sum(dim=1)
    before = -margin(robustness.answers(model, inputs), labels)
    kept = -margin(robustness.answers(model, moved), labels) - before
    allowed = WRONG_BY * promised.abs() + ROUNDING * (1 + before.abs())
    return (kept - promised).abs() > allowed


def decision_jumps(
    model: nn.Module, region: Region, inputs: Tensor, others: Tensor, generator: torch.Generator
) -> Tensor:
    """Tell where a decision changes without notice on the way to another input, shape ``(n,)``.

    At the border of two classes their logits are equal. A margin that shrinks towards the border
    can be followed there; one that jumps across says nothing of the decision, whatever its gradient
    promises elsewhere. Only numbers that the attacker can move are moved; inputs of which that
    changes no decision are not counted.

    Parameters
    ----------
    others
        Inputs to go to; a border of the model is found if some are answered differently.
    """
    decision = robustness.answers(model, inputs).argmax(dim=1)
    way = _way_to_another(model, region, inputs, others, decision, generator)
    crossing = way.flatten(1).any(dim=1)
    if not crossing.any():
        return crossing

    def at(share: Tensor) -> tuple[Tensor, Tensor]:
        """Give the margin of the first decision, and whether it holds, at a share of the way."""
        moved = inputs.double() + share.view(-1, *[1] * (inputs.dim() - 1)) * way
        logits = robustness.answers(model, torch.where(way == 0, inputs, moved.to(inputs)))
        return margin(logits, decision), logits.argmax(dim=1) == decision

    here = torch.zeros(len(inputs), dtype=torch.double, device=inputs.device)
    fall = at(here)[0] - at(here + 1)[0]
    width = 1.0
    for _ in range(HALVINGS):
        width /= 2
        here = torch.where(at(here + width)[1], here + width, here)
    jump = at(here)[0] - at(here + width)[0]
    # Between two inputs near the border the fall is next to nothing.
    usual = fall[crossing].median()
    return crossing & ~(jump <= JUMP * fall.clamp(min=usual))


def _way_to_another(
    model: nn.Module,
    region: Region,
    inputs: Tensor,
    others: Tensor,
    decision: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Give the way to another input that is answered differently, or zeros, in double precision."""
    way = torch.zeros_like(inputs, dtype=torch.double)
    left = torch.arange(len(inputs), device=inputs.device)
    for _ in range(PARTNERS):
        drawn = torch.randint(len(others), (len(left),), generator=generator).to(inputs.device)
        step = (others[drawn].double() - inputs[left].double()).nan_to_num()
        step *= region.unit(inputs[left]) != 0
        there = (inputs[left].double() + step).to(inputs)
        changed = robustness.answers(model, there).argmax(dim=1) != decision[left]
        way[left[changed]] = step[changed]
        left = left[~changed]
        if len(left) == 0:
            break
    return way


def answers_differ(model: nn.Module, inputs: Tensor) -> Tensor:
    """Tell where an answer depends on when, with whom, or with what in mind it is asked, ``(n,)``.

    Asked again, in other company, and while gradients are recorded.
    """

    def recorded(rows: Tensor) -> Tensor:
        with torch.enable_grad():
            answers: Tensor = model(rows.detach().clone().requires_grad_()).detach()
        return answers

    ways: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda rows: robustness.answers(model, rows),
        lambda rows: torch.cat([robustness.answers(model, part) for part in rows.chunk(3)]),
        recorded,
    )
    first = torch.softmax(robustness.answers(model, inputs), dim=1)
    others = torch.stack([torch.softmax(way(inputs), dim=1) for way in ways])
    return ~((others - first).abs().amax(dim=(0, 2)) <= SAME_ANSWER)


def outputs_are_probabilities(model: nn.Module, inputs: Tensor) -> Tensor:
    """Tell where outputs are shares of one, not logits: a second softmax flattens every loss."""
    logits = robustness.answers(model, inputs)
    return (logits >= 0).all(dim=1) & ((logits.sum(dim=1) - 1).abs() <= SAME_ANSWER)
