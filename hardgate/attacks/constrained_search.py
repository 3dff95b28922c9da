"""Black-box search on table rows: asks for logits only, and obeys every constraint.

A random search in the manner of Andriushchenko et al. (2020), "Square attack", arXiv:1912.00049,
with columns in place of squares. First every column is tried alone in both directions, and then
all columns together, each in its better direction; from there random subsets of columns move,
fewer and fewer, and a change stays when it lowers the margin.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from hardgate.attacks.ascent import frozen
from hardgate.attacks.rows import Worst, check_table
from hardgate.errors import ParamsError
from hardgate.records import InputSpec, Record
from hardgate.region import Region
from hardgate.threat import Access, Threat

FEWEST_QUERIES = 2  # the clean row, and one proposal


class ConstrainedSearch(Record):
    """Search attack on tables; asks ``threat.queries`` times per row.

    ``share`` is the share of movable columns in the first random proposals; it falls to one
    column at the end.
    """

    kinds: ClassVar[frozenset[Literal["table", "images"]]] = frozenset({"table"})
    access: ClassVar[Access] = "black-box"
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
        with frozen(model), torch.no_grad():
            worst = Worst(inputs, labels, model(inputs))
            columns = region.step(torch.ones_like(inputs[:1]), 1.0)[0].nonzero().flatten()
            left = threat.queries - 1
            if left > 2 * len(columns):
                _try_columns(model, region, worst, columns)
                left -= 2 * len(columns) + 1
            for turn in range(left):
                count = max(1, round(self.share * len(columns) * (1 - turn / left)))
                moves = _moves(inputs, columns, count, generator)
                steps = region.step(moves, region.eps) * _lengths(inputs, generator)
                _propose(model, region, worst, worst.inputs + steps)
        return worst.inputs


def _try_columns(model: nn.Module, region: Region, worst: Worst, columns: Tensor) -> None:
    """Try every column alone, both ways, then all at once in the ways that helped more."""
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
    _propose(model, region, worst, clean + region.step(best, 2 * region.eps))


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
