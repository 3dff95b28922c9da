"""Ascent and search in turns on table rows: each goes on from the worst row that the other left.

The combination is that of Simonetto et al. (2024), "Constrained adaptive attack",
arXiv:2406.00775, a cheap gradient attack before a search; here they take turns, so that an ascent
can start at rows with other categories, where no gradient leads, and a search where a gradient has
run into a wall.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from hardgate.attacks.ascent import frozen
from hardgate.attacks.constrained_pgd import ConstrainedPGD
from hardgate.attacks.constrained_search import ConstrainedSearch, try_alone
from hardgate.attacks.rows import Worst, check_table, table_region
from hardgate.records import InputSpec, Radius, Record
from hardgate.region import Region
from hardgate.threat import Access, Threat


class ConstrainedRelay(Record):
    """Rounds of ascent and search on tables.

    Each round is one ascent of ``steps`` as in ``constrained-pgd``, then ``queries`` proposals as
    in ``constrained-search``.
    """

    kinds: ClassVar[frozenset[Literal["table", "images"]]] = frozenset({"table"})
    access: ClassVar[Literal["white-box", "black-box"]] = "white-box"
    needs: ClassVar[Access] = "white-box"
    name: Literal["constrained-relay"]
    step_size: Radius
    steps: PositiveInt
    check_every: PositiveInt
    queries: PositiveInt  # per row and round
    share: Annotated[float, Field(gt=0, le=1)]
    rounds: PositiveInt

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Refuse images, and steps that together do not cross the region, with a ParamsError."""
        check_table(self.name, spec)
        self._ascent.model_copy(update={"name": self.name}).check(spec, threat)

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
        """Find the admissible row with the lowest margin."""
        table = table_region(self.name, region)
        search = ConstrainedSearch(name="constrained-search", share=self.share)
        with frozen(model), torch.no_grad():
            worst = Worst(inputs, labels, model(inputs))
            for turn in range(self.rounds):
                self._ascent.climb(model, table, worst, worst.inputs.clone(), turn=turn)
                left = self.queries
                if turn == 0:
                    left -= try_alone(model, table, worst, budget=left)
                search.wander(model, table, worst, queries=left, generator=generator)
        return worst.inputs

    @property
    def _ascent(self) -> ConstrainedPGD:
        return ConstrainedPGD(
            name="constrained-pgd",
            step_size=self.step_size,
            steps=self.steps,
            restarts=1,
            check_every=self.check_every,
        )
