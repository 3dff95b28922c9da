"""Attacks on images by ascent that sets its own step sizes, with three losses.

Croce and Hein (2020), "Reliable evaluation of adversarial robustness with an ensemble of diverse
parameter-free attacks", arXiv:2003.01690. The search is in :mod:`hardgate.attacks.autopgd`, the
losses, and what takes their place where classes are few, in :mod:`hardgate.attacks.losses`. In an
L1 ball steps are sparse: :mod:`hardgate.attacks.sparse_ascent`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from hardgate.attacks import autopgd, losses
from hardgate.attacks.ascent import frozen
from hardgate.attacks.on_images import OnImages
from hardgate.errors import ParamsError
from hardgate.records import InputSpec, Norm
from hardgate.region import Region
from hardgate.threat import Threat

NORMS: tuple[Norm, ...] = ("Linf", "L2", "L1")


class APGDCE(OnImages):
    """Ascent of the cross-entropy."""

    norms: ClassVar[tuple[Norm, ...]] = NORMS
    name: Literal["apgd-ce"]
    steps: PositiveInt
    restarts: PositiveInt

    def perturb(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        threat: Threat,  # noqa: ARG002  the region holds all of it
        region: Region,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """Keep the worst of all restarts per image; only survivors see the next restart."""
        return _restarted(
            self, losses.cross_entropy, model, inputs, labels, region, generator=generator
        )


class APGDDLR(OnImages):
    """Ascent of the difference of logits ratio; of the margin where classes are few."""

    norms: ClassVar[tuple[Norm, ...]] = NORMS
    name: Literal["apgd-dlr"]
    steps: PositiveInt
    restarts: PositiveInt

    def perturb(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        threat: Threat,  # noqa: ARG002
        region: Region,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """Keep the worst of all restarts per image; only survivors see the next restart."""
        loss = losses.untargeted(_logits(model, inputs[:1]).shape[1])
        return _restarted(self, loss, model, inputs, labels, region, generator=generator)


class APGDT(OnImages):
    """Ascent towards each of the ``targets`` likeliest wrong classes.

    The loss is the targeted ratio, which needs four classes; with fewer it is the margin.
    """

    norms: ClassVar[tuple[Norm, ...]] = NORMS
    name: Literal["apgd-t"]
    steps: PositiveInt
    targets: PositiveInt

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Refuse also more targets than there are wrong classes."""
        super().check(spec, threat)
        self._check_targets(len(spec.classes))

    def _check_targets(self, classes: int) -> None:
        if self.targets >= classes:
            raise ParamsError(
                f"apgd-t: {self.targets} targets, but only {classes - 1} wrong classes"
            )

    def perturb(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        threat: Threat,  # noqa: ARG002
        region: Region,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """Keep the worst of all targets per image; only survivors see the next target."""
        logits = _logits(model, inputs)
        classes = logits.shape[1]
        self._check_targets(classes)
        with frozen(model):
            return autopgd.search(
                model,
                inputs,
                labels,
                losses.likeliest_wrong(logits, labels, self.targets),
                region,
                loss=losses.targeted(classes),
                steps=self.steps,
                generator=generator,
            )


def _restarted(
    attack: APGDCE | APGDDLR,
    loss: losses.Loss,
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    region: Region,
    *,
    generator: torch.Generator,
) -> Tensor:
    with frozen(model):
        return autopgd.search(
            model,
            inputs,
            labels,
            labels.unsqueeze(1).expand(-1, attack.restarts),
            region,
            loss=loss,
            steps=attack.steps,
            generator=generator,
        )


def _logits(model: nn.Module, inputs: Tensor) -> Tensor:
    with frozen(model), torch.no_grad():
        logits: Tensor = model(inputs)
    return logits
