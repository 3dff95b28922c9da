"""Attacks on images, searched by torchattacks; the one file that knows that library.

Goodfellow et al. (2015), "Explaining and harnessing adversarial examples", arXiv:1412.6572;
Madry et al. (2018), arXiv:1706.06083; Croce and Hein (2020), "Reliable evaluation of adversarial
robustness with an ensemble of diverse parameter-free attacks", arXiv:2003.01690; Andriushchenko et
al. (2020), "Square attack", arXiv:1912.00049.

Its oddities stop here: it sets the mode of the whole model, prints when a model has no parameters,
draws from (and reseeds) the process's one generator, knows no restarts for PGD, and its targeted
loss needs four classes. What it returns is checked against the region before anyone sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from hardgate.attacks.ascent import ascend, frozen
from hardgate.attacks.draws import own_draws
from hardgate.attacks.on_images import OnImages
from hardgate.errors import ContractError, ParamsError
from hardgate.records import InputSpec, Norm, Radius
from hardgate.region import Region
from hardgate.threat import Access, Threat

if TYPE_CHECKING:
    from torchattacks.attack import Attack as Search

IMPRECISION = 1e-4  # relative; what a loop of projections in float32 may add up to
TARGETED_CLASSES = 4  # the targeted loss divides by differences to the fourth largest logit


class _Hidden(nn.Module):
    """Hide a model from a library that would change its modes, and show it where inputs are."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.hidden = (model,)  # in a tuple, it is no submodule
        self.place = nn.Parameter(torch.empty(0, device=device), requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.hidden[0](images)
        if images.requires_grad and not logits.requires_grad:
            # The model cuts its graph. That is a gradient of zero, and no reason to raise.
            return logits + 0 * images.sum()
        return logits


def _search(
    make: Callable[[nn.Module, int], Search],
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    region: Region,
    generator: torch.Generator,
) -> Tensor:
    """Run one search of the library, made by ``make(model, seed)``, and check what it found.

    Raises
    ------
    ContractError
        If a result lies outside the region by more than rounding.
    """
    with frozen(model), own_draws(generator) as seed:
        found = make(_Hidden(model, images.device), seed)(images, labels).detach()
    outside = int((~region.scaled(1 + IMPRECISION).admits(found, images)).sum())
    if found.shape != images.shape or outside:
        raise ContractError(
            f"torchattacks returned {outside} of {len(images)} images outside the threat model "
            f"(norm {region.norm}, eps {region.eps:g}); expected none"
        )
    return region.repair(found, images)


class FGSM(OnImages):
    """One step of the largest size; for L2 along the gradient itself."""

    name: Literal["fgsm"]

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
        """Find one adversarial image per input."""
        import torchattacks

        def make(victim: nn.Module, _: int) -> Search:
            if region.norm == "Linf":
                return torchattacks.FGSM(victim, eps=region.eps)
            return torchattacks.PGDL2(
                victim, eps=region.eps, alpha=region.eps, steps=1, random_start=False
            )

        return _search(make, model, inputs, labels, region, generator)


class PGD(OnImages):
    """Projected gradient ascent from random starts; ``step_size`` in pixel units.

    For L1 and L0, which the library does not know, the ascent is our own. A step is then the
    gradient at an L1 length of ``step_size``, and the projection chooses the pixels: Croce and Hein
    (2019), arXiv:1909.05040, for L0.
    """

    norms: ClassVar[tuple[Norm, ...]] = ("Linf", "L2", "L1", "L0")
    name: Literal["pgd"]
    step_size: Radius
    steps: PositiveInt
    restarts: PositiveInt

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Refuse also steps that together do not reach the edge of the ball."""
        super().check(spec, threat)
        if self.steps * self.step_size < threat.eps * (1 - IMPRECISION):
            raise ParamsError(
                f"pgd: {self.steps} steps of {self.step_size:g} do not reach eps {threat.eps:g}; "
                "raise steps or step_size"
            )

    def scaled(self, factor: float) -> Self:
        """Take steps ``factor`` times as large."""
        return self.model_copy(update={"step_size": self.step_size * factor})

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
        worst, highest = inputs.clone(), inputs.new_full((len(inputs),), -torch.inf)
        survivors = torch.arange(len(inputs), device=inputs.device)
        for _ in range(self.restarts):
            images, targets = inputs[survivors], labels[survivors]
            found = self._once(model, images, targets, region, generator)
            with frozen(model), torch.no_grad():
                logits = model(found)
            losses = functional.cross_entropy(logits, targets, reduction="none")
            correct = logits.argmax(dim=1) == targets
            better = ~correct | (losses > highest[survivors])
            worst[survivors[better]] = found[better]
            highest[survivors[better]] = losses[better]
            survivors = survivors[correct]
            if len(survivors) == 0:
                break
        return worst

    def _once(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        region: Region,
        generator: torch.Generator,
    ) -> Tensor:
        """Climb from one random start each."""
        if region.norm in ("L1", "L0"):
            with frozen(model):
                found = ascend(
                    lambda points: functional.cross_entropy(
                        model(points), labels, reduction="none"
                    ),
                    images,
                    region,
                    step_size=self.step_size,
                    steps=self.steps,
                    generator=generator,
                )
            return region.repair(found, images)
        import torchattacks

        def make(victim: nn.Module, _: int) -> Search:
            kind = torchattacks.PGD if region.norm == "Linf" else torchattacks.PGDL2
            return kind(victim, eps=region.eps, alpha=self.step_size, steps=self.steps)

        return _search(make, model, images, labels, region, generator)


class TorchattacksAPGDCE(OnImages):
    """Ascent of the cross-entropy that sets its own step sizes."""

    name: Literal["torchattacks-apgd-ce"]
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
        """Return misclassified images where some were found, else the originals."""
        import torchattacks

        def make(victim: nn.Module, seed: int) -> Search:
            return torchattacks.APGD(
                victim,
                norm=region.norm,
                eps=region.eps,
                steps=self.steps,
                n_restarts=self.restarts,
                seed=seed,
                loss="ce",
            )

        return _search(make, model, inputs, labels, region, generator)


class TorchattacksAPGDT(OnImages):
    """Ascent towards each of the ``targets`` likeliest wrong classes, scale-free in the logits."""

    name: Literal["torchattacks-apgd-t"]
    steps: PositiveInt
    targets: PositiveInt

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Refuse also data of fewer classes than the loss needs."""
        super().check(spec, threat)
        self._check_classes(len(spec.classes))

    def _check_classes(self, classes: int) -> None:
        if classes < TARGETED_CLASSES:
            raise ParamsError(
                f"{self.name} needs at least {TARGETED_CLASSES} classes, the model has {classes}; "
                "use 'apgd-t' instead"
            )
        if self.targets >= classes:
            raise ParamsError(
                f"{self.name}: {self.targets} targets, but only {classes - 1} wrong classes"
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
        """Return misclassified images where some were found, else the originals."""
        import torchattacks

        with frozen(model), torch.no_grad():
            self._check_classes(model(inputs[:1]).shape[1])

        def make(victim: nn.Module, seed: int) -> Search:
            return torchattacks.APGDT(
                victim,
                norm=region.norm,
                eps=region.eps,
                steps=self.steps,
                n_restarts=1,
                seed=seed,
                n_classes=self.targets + 1,
            )

        return _search(make, model, inputs, labels, region, generator)


class TorchattacksSquare(OnImages):
    """Random search with square patches; sees logits only, ``threat.queries`` times per image."""

    needs: ClassVar[Access] = "score-based"
    name: Literal["torchattacks-square"]
    restarts: PositiveInt

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Refuse also a budget too small to search, and shapes the L2 patches do not fit."""
        super().check(spec, threat)
        self._steps(threat)
        if spec.kind == "images" and threat.norm == "L2":
            _, height, width = spec.shape
            if height != width or height < 5:
                raise ParamsError(
                    f"square with L2 needs square images of at least 5 x 5 pixels, not "
                    f"{height} x {width}; use 'apgd-ce' instead"
                )

    def _steps(self, threat: Threat) -> int:
        """Share out the budget: one query beforehand, and two more in every restart."""
        steps = (threat.queries - 1) // self.restarts - 2
        if steps < 1:
            raise ParamsError(
                f"{self.name}: {threat.queries} queries (threat.queries) are too few for "
                f"{self.restarts} restarts; at least {3 * self.restarts + 1} are needed"
            )
        return steps

    def perturb(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        threat: Threat,
        region: Region,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """Return misclassified images where some were found, else the originals."""
        import torchattacks

        def make(victim: nn.Module, seed: int) -> Search:
            return torchattacks.Square(
                victim,
                norm=region.norm,
                eps=region.eps,
                n_queries=self._steps(threat),
                n_restarts=self.restarts,
                seed=seed,
            )

        return _search(make, model, inputs, labels, region, generator)
