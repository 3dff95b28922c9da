"""Signs that attacks failed for want of a gradient, not for want of a weakness.

A model whose gradients are masked looks robust to every attack that follows them. Each sign
compares what an honest model cannot show: Athalye, Carlini and Wagner (2018), "Obfuscated
gradients give a false sense of security", arXiv:1802.00420; Carlini et al. (2019), "On evaluating
adversarial robustness", arXiv:1902.06705.

All signs but one are shares of samples, the smaller the better. ``survives_unbounded`` means
little for tables in which columns that nobody can move are enough to decide. What the model's
answers show by themselves is in :mod:`hardgate.masks`; what attacks show when compared, here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hardgate import masks, measurements, robustness, statistics
from hardgate.attacks import PGD, Attack, ConstrainedPGD, flat
from hardgate.attacks.ascent import frozen
from hardgate.errors import ParamsError
from hardgate.measurements import Sign
from hardgate.records import Measurement
from hardgate.region import Region
from hardgate.robustness import Outcome
from hardgate.threat import Threat

CURVE = (0.5, 2.0)  # radii looked at besides the threat's own and the widest


@dataclass(frozen=True)
class _Case:
    """What all signs are measured on."""

    threat: Threat
    region: Region
    model: nn.Module
    inputs: Tensor
    labels: Tensor
    seed: int
    batch_size: int

    def run(self, attack: Attack, *, factor: float = 1.0, only: Tensor | None = None) -> Outcome:
        """Attack all samples, or only some, at a multiple of the radius."""
        chosen = slice(None) if only is None else only.to(self.inputs.device)
        return robustness.measure(
            attack.scaled(factor),
            self.threat,
            self.region.scaled(factor),
            self.model,
            self.inputs[chosen],
            self.labels[chosen],
            seed=self.seed,
            batch_size=self.batch_size,
            attack_all=True,
            step=f"signs: {attack.name} at {factor:.3g} eps",
        )

    def map(self, function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Apply ``function(inputs, labels)`` batch by batch, and join the results on the CPU."""
        batches = zip(
            torch.split(self.inputs, self.batch_size),
            torch.split(self.labels, self.batch_size),
            strict=True,
        )
        return torch.cat([function(inputs, labels).cpu() for inputs, labels in batches])


def check(attacks: Sequence[Attack]) -> None:
    """Refuse a ladder without the attacks that the signs compare, with a ParamsError."""
    attacks = flat(attacks)
    if not any(isinstance(attack, PGD | ConstrainedPGD) for attack in attacks):
        raise ParamsError(
            "evaluation.attacks: the signs of masked gradients need an iterated gradient attack; "
            "add 'pgd' for images or 'constrained-pgd' for tables"
        )
    if not any(attack.access == "black-box" for attack in attacks):
        raise ParamsError(
            "evaluation.attacks: the signs of masked gradients need an attack without gradients; "
            "add 'square' for images or 'constrained-search' for tables"
        )


def gradient_attack(attacks: Sequence[Attack]) -> PGD | ConstrainedPGD:
    """Pick the iterated gradient attack that others are compared with: the ladder's first."""
    return next(attack for attack in flat(attacks) if isinstance(attack, PGD | ConstrainedPGD))


def measure(
    attacks: Sequence[Attack],
    threat: Threat,
    region: Region,
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    seed: int,
    batch_size: int,
) -> dict[str, Measurement]:
    """Measure every sign, named as in :mod:`hardgate.measurements`.

    Parameters
    ----------
    attacks
        The ladder; its first PGD is the gradient attack that the others are compared with.
    inputs, labels
        On the model's device. A few hundred will do: the ladder runs on them again.
    """
    check(attacks)
    attacks = flat(attacks)  # a cascade tells white box from black box no more
    case = _Case(threat, region, model, inputs, labels, seed, batch_size)
    gradient = gradient_attack(attacks)
    with frozen(model):
        iterated = case.run(gradient)
        correct = case.map(lambda rows, truth: _correct(model, rows, truth))
        shares: dict[Sign, Tensor] = {
            "zero_gradient_share": case.map(
                lambda rows, truth: masks.has_no_gradient(model, region, rows, truth)
            ),
            "gradient_misleads": case.map(
                lambda rows, truth: masks.gradient_misleads(model, region, rows, truth)
            ),
            "decision_jumps": _jumps(case),
            "loss_does_not_rise": _unmoved(case, iterated),
            "black_box_beats_white_box": _only_without_gradients(case, attacks, iterated),
            "one_step_beats_many": correct & _one_step(case) & iterated.survives,
            "noise_beats_gradient": _noise(case, draws=gradient.steps) & iterated.survives,
            "answers_differ": case.map(lambda rows, _: masks.answers_differ(model, rows)),
            "outputs_are_probabilities": case.map(
                lambda rows, _: masks.outputs_are_probabilities(model, rows)
            ),
        }
        widest = region.widest(inputs) / region.eps
        unbounded = case.run(gradient, factor=widest)
        quick = gradient.model_copy(update={"restarts": 1})
        curve = {factor: case.run(quick, factor=factor) for factor in CURVE if factor < widest}
    shares["survives_unbounded"] = unbounded.survives
    found = {
        measurements.diagnostics(sign): statistics.share(share.numpy())
        for sign, share in shares.items()
    }
    rises = _rises({**curve, 1.0: iterated, widest: unbounded}.items())
    found[measurements.diagnostics("curve_rises")] = statistics.exact(float(rises), len(labels))
    return found


def _correct(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    return robustness.answers(model, inputs).argmax(dim=1) == labels


def _jumps(case: _Case) -> Tensor:
    """Tell on which ways from input to input a decision changes without notice."""
    generator = torch.Generator().manual_seed(case.seed)
    return case.map(
        lambda rows, _: masks.decision_jumps(case.model, case.region, rows, case.inputs, generator)
    )


def _unmoved(case: _Case, iterated: Outcome) -> Tensor:
    """Tell where the attack found nothing worse than the clean input; clean counts as found."""
    clean, found = case.inputs.cpu(), iterated.adversarial
    return ((clean == found) | (clean.isnan() & found.isnan())).flatten(1).all(dim=1)


def _only_without_gradients(case: _Case, attacks: Sequence[Attack], iterated: Outcome) -> Tensor:
    """Tell which inputs fall to a black-box attack and to no gradient attack of the ladder."""
    survives_black = torch.ones_like(iterated.survives)
    for attack in attacks:
        if attack.access == "black-box":
            survives_black &= case.run(attack).survives
    left = iterated.survives & ~survives_black
    for attack in attacks:  # few are left, if any: the other gradient attacks are quick
        if attack.access == "white-box" and left.any():
            rows = left.nonzero().flatten()
            left[rows] = case.run(attack, only=rows).survives
    return left


def _one_step(case: _Case) -> Tensor:
    """Tell which inputs are wrong after one step as large as the radius."""

    def wrong(inputs: Tensor, labels: Tensor) -> Tensor:
        step = case.region.step(masks.loss_gradient(case.model, inputs, labels), case.region.eps)
        moved = case.region.repair(case.region.project(inputs + step, inputs), inputs)
        return ~_correct(case.model, moved, labels)

    return case.map(wrong)


def _noise(case: _Case, *, draws: int) -> Tensor:
    """Tell which inputs are wrong at one of as many random points as a gradient attack visits."""
    generator = torch.Generator().manual_seed(case.seed)

    def wrong(inputs: Tensor, labels: Tensor) -> Tensor:
        fell = torch.zeros_like(labels, dtype=torch.bool)
        for _ in range(draws):
            drawn = case.region.repair(case.region.start(inputs, generator), inputs)
            fell |= ~_correct(case.model, drawn, labels)
        return fell

    return case.map(wrong)


def _rises(points: Iterable[tuple[float, Outcome]]) -> bool:
    """Tell whether a larger radius leaves clearly more inputs correct than a smaller one."""
    lowest = 1.0  # upper end of the interval at any smaller radius
    for _, outcome in sorted(points, key=lambda point: point[0]):
        share = statistics.share(outcome.survives.numpy())
        if share.lower > lowest:
            return True
        lowest = min(lowest, share.upper)
    return False
