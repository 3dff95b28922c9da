"""Attacks asked questions whose answer is known: whether each finds what is there to be found.

An attack that is broken (a step of no size, a sign the wrong way round, a loss that does not look
at the label) or too small for its radius finds nothing, and a model looks robust. So every attack,
with the very settings that evaluation gives it, is first run on two models with a closed form: a
linear one, and one with a hidden layer, whose margin is a rising function of one direction ``w``
with kinks in it. For both, the ball of radius ``eps`` moves ``w @ x`` by ``eps`` times the dual
norm of ``w`` and no further, as long as it stays clear of the box. In L1 and L0 balls the box is
what stops each pixel, and the heaviest go first.

Inputs are planted at shares of that reach from a mistake: the attack reaches the largest share up
to which it breaks them all. Labels lie on both sides, so that an attack which always pushes the
same way is seen. After the advice of Carlini et al. (2019), "On evaluating adversarial robustness",
arXiv:1902.06705, to try attacks where their success is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hardgate import measurements, region, robustness, statistics
from hardgate.attacks import Attack, flat
from hardgate.records import Column, ImageInput, InputSpec, Measurement, Norm, TableInput
from hardgate.region import Region
from hardgate.threat import Freedom, Threat

SHARES = (*(step / 50 for step in range(1, 50)), 0.99)
SAMPLES = 2 * len(SHARES)  # on either side
SIDE = 6  # pixels; the smallest that every attack accepts
COLUMNS = 4
RADIUS = {"Linf": 0.1, "L2": 0.5}  # of planted images, which stay clear of 0 and 1
SPARSE = {"L1": 1.5, "L0": 3.0}  # both drive three grey pixels to black or white, and no more
KEY_EVERY, MINOR = 3, 0.2  # one pixel in so many has a weight of 1, the others less
REMOTE = -100.0  # logit of classes that are never in play
SEED = 5


@dataclass(frozen=True)
class _Question:
    """One model of known answers with its inputs."""

    model: nn.Module
    threat: Threat
    region: Region
    inputs: Tensor
    labels: Tensor
    shares: Tensor  # of the reach, by which each input lies on its own side


class _Planted(nn.Module):
    """Class 1 where ``g(w @ (x - centre))`` is positive, class 0 where it is negative."""

    def __init__(self, weights: Tensor, centre: float, classes: int, hidden: bool) -> None:
        super().__init__()
        self.weights, self.centre = weights.flatten(), centre
        self.classes, self.hidden = classes, hidden

    def forward(self, inputs: Tensor) -> Tensor:
        along = (inputs - self.centre).flatten(1) @ self.weights
        if self.hidden:  # eight rectified units, each rising: the sign stays, the slope changes
            knots = torch.linspace(-1, 1, 8, dtype=along.dtype, device=along.device)
            slopes = 0.5 + torch.arange(8, dtype=along.dtype, device=along.device) / 8
            bent = torch.relu(along.unsqueeze(1) - knots) * slopes
            zero = torch.relu(-knots) * slopes
            along = 0.1 * along + (bent - zero).sum(dim=1)
        others = along.new_full((len(along), self.classes - 2), REMOTE)
        return torch.cat([torch.stack([-along, along], dim=1), others], dim=1)


def measure(attacks: Sequence[Attack], spec: InputSpec, threat: Threat) -> dict[str, Measurement]:
    """Measure for every attack the share of the optimum that it reaches, at most 0.99.

    Cascades are measured rung by rung. Attacks are scaled to the planted radius. It takes
    milliseconds for an attack that follows gradients, a second for a search. The least of each
    access has a name of its own, which a gate can ask for.
    """
    found = {}
    weakest: dict[str, float] = {}
    for attack in flat(attacks):
        questions = _questions(spec, threat)
        scaled = attack.scaled(questions[0].threat.eps / threat.eps)
        reached = min(_reached(scaled, question) for question in questions)
        found[measurements.known_answer(attack.name)] = statistics.exact(reached, SAMPLES)
        access = "white-box" if attack.access == "white-box" else "black-box"
        weakest[access] = min(reached, weakest.get(access, 1.0))
    return found | {
        measurements.weakest_known_answer(access): statistics.exact(least, SAMPLES)
        for access, least in weakest.items()
    }


def _reached(attack: Attack, question: _Question) -> float:
    outcome = robustness.measure(
        attack,
        question.threat,
        question.region,
        question.model,
        question.inputs,
        question.labels,
        seed=SEED,
        batch_size=len(question.labels),
        step=f"known answers: {attack.name}",
    )
    stands = question.shares[outcome.survives]
    lowest = float(stands.min()) if len(stands) else 2.0
    return max((share for share in SHARES if share < lowest - 1e-6), default=0.0)


def _questions(spec: InputSpec, threat: Threat) -> tuple[_Question, ...]:
    """Plant inputs of the data's kind, with as many classes, in a ball of the threat's norm."""
    free: dict[str, Freedom] = {}
    if isinstance(spec, ImageInput):
        shape: tuple[int, ...] = (1, SIDE, SIDE)
        one = {"shape": shape, "mean": (0.5,), "scale": (1.0,)}
        planted: InputSpec = spec.model_copy(update=one)
        centre, eps = 0.5, (RADIUS | SPARSE)[threat.norm]
        weights = torch.ones(shape)
        weights[..., SIDE // 2 :] = -1
    else:
        shape, centre, eps = (COLUMNS,), 0.0, threat.eps
        columns = tuple(_column(number) for number in range(COLUMNS))
        planted = TableInput(kind="table", columns=columns, classes=spec.classes)
        free = {column.name: Freedom() for column in columns}
        weights = torch.tensor([1.0, -1.0, 0.5, -0.5])
    alone = {"columns": free, "relations": (), "one_hot": (), "switches": None}
    bare = threat.model_copy(update={"eps": eps, **alone})
    ball = region.build(bare, planted)
    weights, along, reach = _reach(weights, threat.norm, eps)
    shares = torch.tensor(SHARES).repeat(2)
    labels = torch.arange(2).repeat_interleave(len(SHARES))
    sides = (2 * labels - 1) * shares * reach / float((weights * along).sum())
    inputs = centre + sides.view(-1, *[1] * len(shape)) * along
    steepness = 1 / reach  # the reach becomes 1, knots lie within
    return tuple(
        _Question(
            _Planted(weights * steepness, centre, len(spec.classes), hidden),
            bare,
            ball,
            inputs,
            labels,
            shares,
        )
        for hidden in (False, True)
    )


def _reach(weights: Tensor, norm: Norm, eps: float) -> tuple[Tensor, Tensor, float]:
    """Give weights, the direction in which inputs are planted, and how far the ball moves them.

    In L1 and L0 balls the best move takes three pixels of weight 1 from grey to the box's edge; the
    others, grey no more, say where the input lies.
    """
    if norm in SPARSE:
        keys = (torch.arange(weights.numel()) % KEY_EVERY == 0).view_as(weights)
        return torch.where(keys, weights, weights * MINOR), weights.sign() * ~keys, 3 * 0.5
    if norm == "L2":
        length = torch.linalg.vector_norm(weights)
        return weights, weights / length, eps * float(length)
    return weights, weights.sign(), eps * float(weights.abs().sum())


def _column(number: int) -> Column:
    return Column(name=f"c{number}", type="real", mean=0.0, scale=1.0, low=-1e3, high=1e3)
