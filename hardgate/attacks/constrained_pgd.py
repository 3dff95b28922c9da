"""Projected gradient ascent on table rows, with every constraint of the threat in force.

After Simonetto et al. (2024), "Constrained adaptive attack", arXiv:2406.00775, with other choices:
relations are met by projection in scaled units instead of a penalty, and the best *repaired* row
counts, so that what is kept is always admissible.

Two losses and two directions take turns over the restarts. The margin between logits still has a
gradient where a confident softmax has none; cross-entropy weighs all classes. The sign of the
gradient is the steepest way through a box, but where relations bind it stands still at points that
are not maxima; there the second direction slides along the relations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, Self

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from hardgate.attacks.ascent import frozen, gradient_of, margin
from hardgate.attacks.rows import Worst, check_table, table_region
from hardgate.errors import ParamsError
from hardgate.records import InputSpec, Radius, Record
from hardgate.region import Region, TableRegion
from hardgate.threat import Access, Threat

WAYS = (("margin", "slide"), ("margin", "sign"), ("cross-entropy", "slide"))
ROUNDING = 1e-9  # of products such as 20 * 0.03
LAST_STEP = 0.1  # of step_size: steps shrink, so that the last ones settle in corners


class ConstrainedPGD(Record):
    """Gradient attack on tables; ``step_size`` in standard deviations.

    Every ``check_every`` steps the rows are repaired and the worst so far is kept.
    """

    kinds: ClassVar[frozenset[Literal["table", "images"]]] = frozenset({"table"})
    access: ClassVar[Literal["white-box", "black-box"]] = "white-box"
    needs: ClassVar[Access] = "white-box"
    name: Literal["constrained-pgd"]
    step_size: Radius
    steps: PositiveInt
    restarts: PositiveInt
    check_every: PositiveInt

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Refuse images, and steps that together do not cross the region, with a ParamsError."""
        check_table(self.name, spec)
        if self.steps * self.step_size < 2 * threat.eps * (1 - ROUNDING):
            raise ParamsError(
                f"{self.name}: {self.steps} shrinking steps of {self.step_size:g} do not cross "
                f"eps {threat.eps:g}; raise steps or step_size to twice that in all"
            )

    def scaled(self, factor: float) -> Self:
        """Take steps ``factor`` times as large."""
        return self.model_copy(update={"step_size": self.step_size * factor})

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
        """Find the admissible row with the lowest margin; the first start is the clean row."""
        table = table_region(self.name, region)
        with frozen(model), torch.no_grad():
            worst = Worst(inputs, labels, model(inputs))
            for restart in range(self.restarts):
                start = inputs if restart == 0 else table.start(inputs, generator)
                self.climb(model, table, worst, start, turn=restart)
        return worst.inputs

    def climb(
        self, model: nn.Module, region: TableRegion, worst: Worst, start: Tensor, *, turn: int
    ) -> None:
        """Ascend once from ``start``, by the loss and direction whose turn it is."""
        kind, way = WAYS[turn % len(WAYS)]
        loss = LOSSES[kind](model, worst.labels)
        perturbed, clean = start, worst.clean
        for step in range(self.steps):
            size = self.step_size * max(1 - step / self.steps, LAST_STEP)
            gradient = gradient_of(loss, perturbed)
            if way == "sign":
                perturbed = region.project(perturbed + region.step(gradient, size), clean)
            else:
                perturbed = region.slide(perturbed, clean, gradient, size)
            if (step + 1) % self.check_every == 0 or step + 1 == self.steps:
                repaired = region.repair(perturbed, clean)
                worst.see(repaired, model(repaired))


def _margin_loss(model: nn.Module, labels: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda rows: -margin(model(rows), labels)


def _cross_entropy(model: nn.Module, labels: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda rows: functional.cross_entropy(model(rows), labels, reduction="none")


LOSSES = {"margin": _margin_loss, "cross-entropy": _cross_entropy}
