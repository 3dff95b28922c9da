"""What an attacker must respect when changing the rows of a table, as arithmetic on tensors.

A row is admissible beside its clean original when immutable columns are equal, missing values stay
missing, movable columns stay within their bounds and directions, integers are integers, categories
are of those that can be switched to and no more than can be switched, and every linear relation
that the clean row keeps still holds. A clean row is always admissible, whatever it
breaks itself: a value outside its bounds may stay, and a relation it breaks is not demanded.

All sets but the integers are convex and hold the clean row. Hence the two tools here: projections
onto each set in turn (relaxed), and moves of single values *towards* the clean row, which can
never break a bound, a direction or the radius (exact). The idea of repairing gradient steps on
tables is that of Simonetto et al. (2024), "Constrained adaptive attack", arXiv:2406.00775.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from hardgate import choices
from hardgate.choices import Choices
from hardgate.errors import ParamsError
from hardgate.records import Column, ColumnType, TableInput
from hardgate.threat import Freedom, Threat

TOLERANCE = 1e-6  # relative to a column's scale
SWEEPS = 3  # of relaxed projections; what is left over is for the exact repair
EXACT_SWEEPS = 25
WAYS = {"increasing": "down", "decreasing": "up"}  # the way that a monotone column never moves


@dataclass(frozen=True, eq=False)
class Constraints:
    """The threat's constraints for ``d`` columns and ``m`` relations.

    ``down`` and ``up`` are 1 where the attacker can lower or raise a column, else 0. ``groups``
    holds relations that share no movable column, so that one product projects onto all of them.
    """

    scale: Tensor  # (d,)
    down: Tensor  # (d,)
    up: Tensor  # (d,)
    low: Tensor  # (d,)
    high: Tensor  # (d,)
    integer: Tensor  # (d,), bool
    choices: Choices
    weights: Tensor  # (m, d)
    bounds: Tensor  # (m,)
    groups: tuple[Tensor, ...]  # indices of relations

    def to(self, like: Tensor) -> Constraints:
        """Move to the device and precision of ``like``."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {
            name: part.to(like.device) if part.dtype == torch.bool else part.to(like)
            for name, part in parts.items()
            if isinstance(part, Tensor)
        }
        return replace(
            self,
            **moved,
            choices=self.choices.moved(like),
            groups=tuple(g.to(like.device) for g in self.groups),
        )

    @property
    def movable(self) -> Tensor:
        """Which numbers can move at all, shape ``(d,)``, bool."""
        return (self.down + self.up) > 0

    def box(self, clean: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        """Give the lowest and highest value of each cell; NaN where the clean cell is NaN."""
        lower = torch.minimum(self.low, clean)
        upper = torch.maximum(self.high, clean)
        return (
            torch.maximum(lower, clean - eps * self.scale * self.down),
            torch.minimum(upper, clean + eps * self.scale * self.up),
        )

    def limits(self, clean: Tensor) -> Tensor:
        """Give each relation's bound per row, ``(n, m)``; infinite where it is not demanded."""
        missing = clean.isnan()
        value = clean.nan_to_num() @ self.weights.T
        kept = value <= self.bounds + self.tolerances()
        if missing.any():
            kept &= missing.to(clean) @ (self.weights != 0).to(clean).T == 0
        return torch.where(kept, torch.maximum(value, self.bounds), torch.inf)

    def tolerances(self) -> Tensor:
        """Give the slack of each relation, shape ``(m,)``."""
        return TOLERANCE * (self.weights.abs() @ self.scale)

    def distances(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Measure how far movable cells moved: L2 per row, ``(n, 1)``, in scaled units."""
        moved = ((perturbed - clean) * (self.movable / self.scale)).nan_to_num()
        lengths: Tensor = torch.linalg.vector_norm(moved, dim=1, keepdim=True)
        return lengths


def build(threat: Threat, spec: TableInput) -> Constraints:
    """Turn the threat section into constraints on the table's columns.

    Raises
    ------
    ParamsError
        If the threat names unknown, immutable or categorical columns, no column at all, bounds
        that miss the data, or a radius that covers every column's whole range.
    """
    columns = {column.name: column for column in spec.columns}
    if not threat.columns:
        raise ParamsError("threat.columns is empty: name the columns that an attacker can change")
    for name, freedom in threat.columns.items():
        key = f"threat.columns.{name}"
        if name not in columns:
            raise ParamsError(f"{key}: the table has no such column; it has {', '.join(columns)}")
        column = columns[name]
        if column.immutable:
            raise ParamsError(f"{key}: the column is immutable; remove it here or there")
        _check_kind(key, column, freedom)
        if column.type is ColumnType.CATEGORICAL:
            continue
        if freedom.direction != "both" and WAYS.get(column.monotone or "") == freedom.direction:
            raise ParamsError(
                f"{key}.direction: {freedom.direction}, but the column is {column.monotone} by "
                "dataset.monotone; remove it here or there"
            )
        if freedom.min is not None and freedom.min > column.high:
            raise ParamsError(f"{key}.min: {freedom.min:g} lies above all data, {column.high:g}")
        if freedom.max is not None and freedom.max < column.low:
            raise ParamsError(f"{key}.max: {freedom.max:g} lies below all data, {column.low:g}")
    free = [threat.columns.get(column.name) for column in spec.columns]
    low = [
        column.low if freedom is None or freedom.min is None else freedom.min
        for column, freedom in zip(spec.columns, free, strict=True)
    ]
    high = [
        column.high if freedom is None or freedom.max is None else freedom.max
        for column, freedom in zip(spec.columns, free, strict=True)
    ]
    weights, bounds = _relations(threat, spec)
    found = Constraints(
        scale=_vector([column.scale for column in spec.columns]),
        down=_ways(free, spec, "down"),
        up=_ways(free, spec, "up"),
        low=_vector(low),
        high=_vector(high),
        integer=torch.tensor(
            [
                column.type is ColumnType.INTEGER or (freedom is not None and freedom.integer)
                for column, freedom in zip(spec.columns, free, strict=True)
            ]
        ),
        choices=choices.build(threat, spec),
        weights=weights,
        bounds=bounds,
        groups=(),
    )
    covered = threat.eps * found.scale >= found.high - found.low
    if not bool(found.movable.any()):
        raise ParamsError("threat.columns: no column of numbers can move, so eps bounds nothing")
    if bool(covered[found.movable].all()):
        raise ParamsError(
            f"threat.eps: {threat.eps:g} standard deviations cover the whole range of every "
            "column in threat.columns; it is not meant in the columns' own units"
        )
    return _grouped(found)


def _check_kind(key: str, column: Column, freedom: Freedom) -> None:
    """Refuse numbers for categories and categories for numbers, with a ParamsError."""
    if column.type is not ColumnType.CATEGORICAL:
        if freedom.to:
            raise ParamsError(f"{key}.to: the column holds numbers; give direction, min or max")
        return
    if not freedom.to:
        raise ParamsError(
            f"{key}: the column is categorical; name in {key}.to what it can be switched to, of "
            f"{', '.join(column.categories)}"
        )


def _ways(free: Sequence[Freedom | None], spec: TableInput, way: str) -> Tensor:
    """Mark the columns that an attacker can move this way."""
    other = "up" if way == "down" else "down"
    return _vector(
        [
            float(
                f is not None
                and not f.to
                and f.direction != other
                and WAYS.get(column.monotone or "") != way
            )
            for f, column in zip(free, spec.columns, strict=True)
        ]
    )


def _vector(numbers: Sequence[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def _relations(threat: Threat, spec: TableInput) -> tuple[Tensor, Tensor]:
    positions = {column.name: position for position, column in enumerate(spec.columns)}
    inequalities = threat.inequalities()
    weights = torch.zeros(len(inequalities), len(spec.columns), dtype=torch.float64)
    for row, (text, inequality) in enumerate(zip(threat.relations, inequalities, strict=True)):
        for name, weight in inequality.weights.items():
            if name not in positions:
                raise ParamsError(f"threat.relations: {text!r} names the unknown column {name!r}")
            if spec.columns[positions[name]].type is ColumnType.CATEGORICAL:
                raise ParamsError(
                    f"threat.relations: {text!r} calculates with the categorical column {name!r}"
                )
            weights[row, positions[name]] = weight
    return weights, _vector([inequality.bound for inequality in inequalities])


def _grouped(constraints: Constraints) -> Constraints:
    """Drop relations that no attacker can break, and group those that share no movable column."""
    touched = (constraints.weights != 0) & constraints.movable
    alive = touched.any(dim=1)
    touched = touched[alive]
    groups: list[list[int]] = []
    for relation, columns in enumerate(touched):
        for group in groups:
            if not (touched[group].any(dim=0) & columns).any():
                group.append(relation)
                break
        else:
            groups.append([relation])
    return replace(
        constraints,
        weights=constraints.weights[alive],
        bounds=constraints.bounds[alive],
        groups=tuple(torch.tensor(group) for group in groups),
    )


def relax(constraints: Constraints, perturbed: Tensor, clean: Tensor, *, eps: float) -> Tensor:
    """Project onto box and relations in turn, each the nearest point in scaled units.

    Cheap enough for every step of an attack; integers and the last bit are left to :func:`repair`.
    """
    lower, upper = constraints.box(clean, eps)
    moved = torch.clamp(perturbed, lower, upper)
    if constraints.choices:
        moved = torch.where(constraints.choices.switched(perturbed, clean), perturbed, moved)
    if not constraints.groups:
        return moved
    limits = constraints.limits(clean)
    reach = constraints.weights * constraints.movable * constraints.scale**2
    pushes = reach / (reach * constraints.weights).sum(dim=1, keepdim=True)
    for _ in range(SWEEPS):
        for group in constraints.groups:
            value = moved.nan_to_num() @ constraints.weights[group].T
            excess = torch.relu(value - limits[:, group])
            pushed = torch.clamp(moved - excess @ pushes[group], lower, upper)
            moved = torch.where(constraints.movable, pushed, moved)
    return moved


def repair(constraints: Constraints, perturbed: Tensor, clean: Tensor, *, eps: float) -> Tensor:
    """Make every row admissible by moving values towards the clean row, as little as is simple.

    Parameters
    ----------
    perturbed, clean
        Rows of shape ``(n, d)``, float32.

    Returns
    -------
    Tensor
        float32. Its values, not their ideal ones, respect the constraints: float32 steps are
        0.125 wide at 1.7 million.
    """
    origin = clean.double()
    lower, upper = constraints.box(origin, eps)
    # An infinite or undefined proposal is no proposal.
    proposal = torch.where(perturbed.isfinite(), perturbed.double(), origin)
    moved = settle(constraints.integer, torch.clamp(proposal, lower, upper), origin)
    limits, slack = constraints.limits(origin), constraints.tolerances() / 2
    for _ in range(EXACT_SWEEPS if constraints.groups else 0):
        # The slack keeps the rounding of a sum from looking like a broken relation.
        broken = moved.nan_to_num() @ constraints.weights.T > limits + slack
        rows = broken.any(dim=1).nonzero().flatten()
        if len(rows) == 0:
            break
        part = moved[rows]
        for group in constraints.groups:
            part = _restored(constraints, group, part, origin[rows], limits[rows][:, group])
        moved[rows] = part
    if constraints.choices:
        moved = torch.where(constraints.choices.switched(proposal, origin), proposal, moved)
    return moved.float()


def _restored(
    constraints: Constraints, group: Tensor, moved: Tensor, clean: Tensor, limits: Tensor
) -> Tensor:
    """Shrink what pushes relations over their limits, in proportion, until they hold.

    The relations of a group share no movable column, so each column answers to one of them.
    """
    weights = constraints.weights[group]
    excess = (moved.nan_to_num() @ weights.T - limits).clamp(min=0)
    change = (moved - clean).nan_to_num()
    raised, lowered = change.clamp(min=0), (-change).clamp(min=0)
    pushes = raised @ weights.clamp(min=0).T + lowered @ (-weights).clamp(min=0).T
    share = (excess / pushes.clamp(min=1e-300)).clamp(max=1)
    back = (share @ (weights > 0).to(share)) * raised - (share @ (weights < 0).to(share)) * lowered
    return settle(constraints.integer, moved - back, clean)


def settle(integer: Tensor, moved: Tensor, clean: Tensor) -> Tensor:
    """Round to what a float32 row can hold, and integers to integers, always towards clean."""
    below = moved < clean
    whole = torch.where(below, moved.ceil(), moved.floor())
    overshot = torch.where(below, whole > clean, whole < clean)
    moved = torch.where(integer, torch.where(overshot, clean, whole), moved)
    stored = moved.float()
    outside = (stored.double() - clean).abs() > (moved - clean).abs()
    inner = torch.nextafter(stored, clean.float())
    return torch.where(outside, inner, stored).double()


def admits(constraints: Constraints, perturbed: Tensor, clean: Tensor, *, eps: float) -> Tensor:
    """Tell which rows are admissible, shape ``(n,)``, judged in double precision."""
    row, origin = perturbed.double(), clean.double()
    same = (row == origin) | (row.isnan() & origin.isnan())
    slack = TOLERANCE * constraints.scale
    lower, upper = constraints.box(origin, eps)
    inside = constraints.movable & (row >= lower - slack) & (row <= upper + slack)
    whole = ~constraints.integer | (row == row.round())
    switched = constraints.choices.switched(row, origin)
    cells = (same | switched | (inside & whole & row.isfinite())).all(dim=1)
    limits = constraints.limits(origin) + constraints.tolerances()
    return cells & (row.nan_to_num() @ constraints.weights.T <= limits).all(dim=1)
