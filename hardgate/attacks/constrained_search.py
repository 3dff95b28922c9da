"""Black-box search on table rows: asks for logits only, and obeys every constraint.

A random search in the manner of Andriushchenko et al. (2020), "Square attack", arXiv:1912.00049,
with columns in place of squares. First every column is tried alone in both directions, and then
all columns together, each in its better direction; from there random subsets of columns move,
fewer and fewer, and a change stays when it lowers the margin. Categories that can be switched are
tried one by one on top of that, and drawn at random every other time: one, two, and so on up to as
many as can be switched, for where only several together make a difference.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from hardgate.attacks.ascent import frozen
from hardgate.attacks.rows import Worst, check_table, table_region
from hardgate.choices import Choices
from hardgate.errors import ParamsError
from hardgate.records import InputSpec, Record
from hardgate.region import Region, TableRegion
from hardgate.threat import Access, Threat

FEWEST_QUERIES = 2  # the clean row, and one proposal
SWITCH_EVERY = 2  # proposals


class ConstrainedSearch(Record):
    """Search attack on tables; asks ``threat.queries`` times per row.

    ``share`` is the share of movable columns in the first random proposals; it falls to one
    column at the end.
    """

    kinds: ClassVar[frozenset[Literal["table", "images"]]] = frozenset({"table"})
    access: ClassVar[Literal["white-box", "black-box"]] = "black-box"
    needs: ClassVar[Access] = "score-based"
    name: Literal["constrained-search"]
    share: Annotated[float, Field(gt=0, le=1)]

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Refuse images, and a budget without a single proposal, with a ParamsError."""
        check_table(self.name, spec)
        if threat.queries < FEWEST_QUERIES:
            raise ParamsError(
                f"{self.name}: threat.queries is {threat.queries}; "
                f"at least {FEWEST_QUERIES} are needed to try anything"
            )

    def scaled(self, factor: float) -> Self:  # noqa: ARG002  proposals fit themselves to the region
        """Give the same search for ``factor`` times the radius."""
        return self

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
        """Find the admissible row with the lowest margin within the budget."""
        table = table_region(self.name, region)
        with frozen(model), torch.no_grad():
            worst = Worst(inputs, labels, model(inputs))
            left = threat.queries - 1
            left -= try_alone(model, table, worst, budget=left)
            self.wander(model, table, worst, queries=left, generator=generator)
        return worst.inputs

    def wander(
        self,
        model: nn.Module,
        region: TableRegion,
        worst: Worst,
        *,
        queries: int,
        generator: torch.Generator,
    ) -> None:
        """Propose random changes of the worst rows so far, ``queries`` times."""
        columns = _columns(region, worst.clean)
        choices = region.choices
        for turn in range(queries):
            rows = worst.inputs
            if choices and turn % SWITCH_EVERY == 0:
                for _ in range(1 + turn // SWITCH_EVERY % choices.switches):
                    rows = _switch(rows, worst.clean, choices, generator)
            count = max(1, round(self.share * len(columns) * (1 - turn / queries)))
            moves = _moves(rows, columns, count, generator)
            steps = region.step(moves, region.eps) * _lengths(rows, generator)
            _propose(model, region, worst, rows + steps)


def try_alone(model: nn.Module, region: TableRegion, worst: Worst, *, budget: int) -> int:
    """Try each change alone and then the better ones together; give the queries that took.

    Columns both ways, and every category there is; nothing where the budget does not reach.
    """
    columns, options = _columns(region, worst.clean), len(region.choices)
    needed = 2 * len(columns) + options + 1
    if needed > budget:
        return 0
    clean = worst.clean
    best = torch.zeros_like(clean)
    for column in columns.tolist():
        moves = torch.zeros_like(clean)
        moves[:, column] = 1
        up, down = (
            _propose(model, region, worst, clean + region.step(sign * moves, 2 * region.eps))
            for sign in (1, -1)
        )
        best[:, column] = torch.sign(down - up)
    together = clean + region.step(best, 2 * region.eps)
    for option in range(options):
        each = torch.full((len(clean),), option, device=clean.device)
        _propose(model, region, worst, region.choices.put(together, clean, each))
    _propose(model, region, worst, together)
    return needed


def _columns(region: TableRegion, like: Tensor) -> Tensor:
    """List the columns whose numbers can move."""
    return region.step(torch.ones_like(like[:1]), 1.0)[0].nonzero().flatten()


def _switch(rows: Tensor, clean: Tensor, choices: Choices, generator: torch.Generator) -> Tensor:
    """Put an option, drawn at random, into each row."""
    device = generator.device
    drawn = torch.randint(len(choices), (len(rows),), generator=generator, device=device)
    return choices.put(rows, clean, drawn.to(rows.device))


def _moves(like: Tensor, columns: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` columns per row, and a sign for each."""
    device = generator.device
    order = torch.rand((len(like), len(columns)), generator=generator, device=device).argsort(dim=1)
    chosen = columns[order[:, :count].to(like.device)]
    signs = torch.randint(0, 2, chosen.shape, generator=generator, device=device) * 2 - 1
    return torch.zeros_like(like).scatter_(1, chosen, signs.to(like))


def _lengths(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a length per row, in radii: from end to end for half of the rows, less for the rest."""
    drawn = torch.rand((len(like), 1), generator=generator, device=generator.device)
    return (4 * drawn).clamp(max=2).to(like)


def _propose(model: nn.Module, region: Region, worst: Worst, rows: Tensor) -> Tensor:
    """Ask for admissible rows near ``rows``, keep the worst; give the margins, shape ``(n,)``."""
    repaired = region.repair(region.project(rows, worst.clean), worst.clean)
    return worst.see(repaired, model(repaired))
