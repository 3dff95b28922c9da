"""Where an attack may go: the threat model around each clean input, as projections.

:func:`build` gives the region of a threat and an input kind. Training and attacks use the same
object, so that what is trained against is what is measured. Radii and step sizes are in the
threat's unit: pixels in [0, 1] for images, standard deviations of the training split for tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from hardgate import balls, constraints
from hardgate.choices import Choices
from hardgate.constraints import TOLERANCE, Constraints
from hardgate.errors import ContractError, ParamsError
from hardgate.records import ImageInput, InputSpec, Norm
from hardgate.threat import Threat

TRIAL = 0.1  # of a step
NEGLIGIBLE = 0.01  # of a trial step; less is rounding, and would be blown up


class Region(Protocol):
    """What the threat allows around each clean input."""

    @property
    def eps(self) -> float:
        """Radius, in the threat's unit."""

    @property
    def norm(self) -> Norm:
        """Norm of the radius."""

    def start(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a random start within the region, as relaxed as :meth:`project`."""

    def step(self, gradient: Tensor, step_size: float | Tensor) -> Tensor:
        """Give the step of steepest ascent, in the inputs' own units; a size for all, or each."""

    def project(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Bring inputs back into the region: cheap, integers and last bits left aside."""

    def repair(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Make every input exactly admissible; one that cannot be repaired becomes its original."""

    def admits(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Tell which inputs are admissible, shape ``(n,)``."""

    def unit(self, clean: Tensor) -> Tensor:
        """Give what the radius's unit is in each cell's own; 0 where nothing can move."""

    def box(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Give the lowest and highest value of each cell: no admissible input lies outside.

        What :meth:`admits` forgives as rounding lies inside.
        """

    def scaled(self, factor: float) -> Self:
        """Give the region of the same constraints and ``factor`` times the radius."""

    def widest(self, clean: Tensor) -> float:
        """Give the radius from which on the norm bounds nothing any more."""


def build(threat: Threat, spec: InputSpec) -> Region:
    """Build the region that a threat allows around inputs of a kind.

    Raises
    ------
    ParamsError
        If the threat does not fit the data; names the key.
    """
    if isinstance(spec, ImageInput):
        threat.check_images()
        widest = _widest(threat.norm, spec.shape)
        if threat.norm != "Linf" and threat.eps >= widest:
            raise ParamsError(
                f"threat.eps: an {threat.norm} radius of {threat.eps:g} covers every image of "
                f"shape {spec.shape}, all of which lie within {widest:g}"
            )
        return ImageRegion(threat.norm, threat.eps)
    threat.check_tables()
    return TableRegion(threat.norm, threat.eps, constraints.build(threat, spec))


@dataclass(frozen=True)
class ImageRegion:
    """A ball of pixels, cut off at 0 and 1. Images have shape ``(n, c, h, w)``.

    An L0 radius counts pixels; one that :meth:`scaled` left between two numbers is rounded down.
    """

    norm: Norm
    eps: float

    def start(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Draw from the box, a random direction and distance, or random pixels for L0."""
        match self.norm:
            case "Linf":
                drawn = clean + (2 * _uniform(clean, generator) - 1) * self.eps
            case "L2":
                drawn = clean + self.eps * _directions(torch.ones_like(clean), generator)
            case "L1":
                drawn = clean + self.eps * balls.draw_l1(clean, generator)
            case "L0":
                drawn = balls.draw_l0(clean, self.eps, generator)
        return self.project(drawn, clean)

    def step(self, gradient: Tensor, step_size: float | Tensor) -> Tensor:
        """Step along the sign, along the gradient of unit length, or of unit L1 length.

        The last is for L1 and L0, where :meth:`project` chooses the pixels that are kept.
        """
        if self.norm == "Linf":
            return step_size * gradient.sign()
        return step_size * (_unit(gradient) if self.norm == "L2" else balls.along_l1(gradient))

    def project(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Bring images into the ball and into [0, 1]; the nearest ones, but for L2.

        There one is done after the other.
        """
        match self.norm:
            case "Linf":
                low, high = (clean - self.eps).clamp_(min=0), (clean + self.eps).clamp_(max=1)
                return torch.clamp(perturbed, low, high)
            case "L2":
                change = perturbed - clean
                shrink = (self.eps / _lengths(change).clamp(min=1e-12)).clamp(max=1)
                return (clean + change * shrink).clamp_(0, 1)
            case "L1":
                return balls.project_l1(perturbed, clean, self.eps)
            case "L0":
                return balls.project_l0(perturbed, clean, self.eps)

    def repair(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Project, and give up images that are not numbers."""
        projected = self.project(perturbed, clean)
        return torch.where(_per_sample(self.admits(projected, clean), clean), projected, clean)

    def admits(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Tell which images lie within the ball and within [0, 1]."""
        pixels = perturbed.flatten(1)
        inside = (pixels.amin(dim=1) >= -TOLERANCE) & (pixels.amax(dim=1) <= 1 + TOLERANCE)
        if self.norm == "L0":  # nothing to round: a pixel is the clean one or it is not
            return inside & (balls.changed_pixels(perturbed, clean) <= balls.pixels(self.eps))
        order = {"Linf": torch.inf, "L2": 2, "L1": 1}[self.norm]
        size: Tensor = torch.linalg.vector_norm((perturbed - clean).flatten(1), ord=order, dim=1)
        return inside & (size <= self.eps + TOLERANCE * max(1.0, self.eps))

    def unit(self, clean: Tensor) -> Tensor:
        """Give 1: pixels are measured as they are."""
        return torch.ones_like(clean)

    def box(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Give the box around the ball, cut off at 0 and 1; for L0 that is all there is."""
        eps = 1.0 if self.norm == "L0" else self.eps
        reach = eps + 2 * TOLERANCE * max(1.0, eps)  # once forgiven, once for rounding
        return (
            (clean - reach).clamp(-TOLERANCE, 1 + TOLERANCE),
            (clean + reach).clamp(-TOLERANCE, 1 + TOLERANCE),
        )

    def scaled(self, factor: float) -> Self:
        """Give the same ball with another radius."""
        return replace(self, eps=self.eps * factor)

    def widest(self, clean: Tensor) -> float:
        """Give the diameter of the box of all images."""
        _, channels, height, width = clean.shape
        return _widest(self.norm, (channels, height, width))


@dataclass(frozen=True, eq=False)
class TableRegion:
    """A ball of standard deviations within the threat's constraints. Rows have shape ``(n, d)``."""

    norm: Norm
    eps: float
    constraints: Constraints
    _moved: dict[tuple[torch.device, torch.dtype], Constraints] = field(
        default_factory=dict, repr=False
    )

    def start(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Draw uniformly between each cell's bounds, or in a random direction for L2."""
        rules = self._rules(clean)
        if self.norm == "Linf":
            lower, upper = rules.box(clean, self.eps)
            return self.project(lower + _uniform(clean, generator) * (upper - lower), clean)
        directions = _directions(rules.movable.to(clean).expand_as(clean), generator)
        return self.project(clean + self.eps * rules.scale * directions, clean)

    def step(self, gradient: Tensor, step_size: float | Tensor) -> Tensor:
        """Step in scaled units; missing cells have no gradient."""
        rules = self._rules(gradient)
        scaled = gradient.nan_to_num(nan=0.0) * rules.scale * rules.movable
        if self.norm == "Linf":
            return step_size * rules.scale * scaled.sign()
        return step_size * rules.scale * _unit(scaled)

    def slide(self, perturbed: Tensor, clean: Tensor, gradient: Tensor, step_size: float) -> Tensor:
        """Go along what the constraints leave of the gradient, at full length.

        Where relations bind, signs of a gradient lead to points that are not maxima, and the
        gradient itself is mostly cancelled: a short trial step shows what is left of it.
        """
        rules = self._rules(clean)
        scaled = gradient.nan_to_num(nan=0.0) * rules.scale * rules.movable
        length = float(rules.movable.sum()) ** 0.5 if self.norm == "Linf" else 1.0
        trial = TRIAL * step_size * length
        free = self.project(perturbed + trial * rules.scale * _unit(scaled), clean) - perturbed
        left = _lengths((free / rules.scale).nan_to_num()).clamp(min=trial * NEGLIGIBLE)
        return self.project(perturbed + step_size * length / left * free, clean)

    def project(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Project onto ball, box and relations in turn."""
        rules = self._rules(clean)
        if self.norm == "L2":
            perturbed = _shrunk(rules, perturbed, clean, self.eps)
        moved = constraints.relax(rules, perturbed, clean, eps=self.eps)
        if self.norm == "L2" and rules.groups:  # a push back to a relation may leave the ball
            moved = _shrunk(rules, moved, clean, self.eps)
        return moved

    def repair(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Repair towards the clean row, and become it where that is still not admissible."""
        rules = self._rules(clean.double())
        if self.norm == "L2":
            perturbed = _shrunk(rules, perturbed.double(), clean.double(), self.eps)
        repaired = constraints.repair(rules, perturbed, clean, eps=self.eps)
        return torch.where(_per_sample(self.admits(repaired, clean), clean), repaired, clean)

    def admits(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Tell which rows respect the ball and every constraint."""
        rules = self._rules(clean.double())
        admitted = constraints.admits(rules, perturbed, clean, eps=self.eps)
        if self.norm == "L2":
            length = rules.distances(perturbed.double(), clean.double()).squeeze(1)
            admitted &= length <= self.eps + TOLERANCE
        return admitted

    def unit(self, clean: Tensor) -> Tensor:
        """Give the standard deviations of movable columns."""
        rules = self._rules(clean)
        return (rules.scale * rules.movable).expand_as(clean)

    @property
    def choices(self) -> Choices:
        """What can be switched."""
        return self.constraints.choices

    def box(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Give the box that bounds and radius span; relations and integers only cut parts off it.

        NaN where a cell is missing: it stays missing.

        Raises
        ------
        ContractError
            If categories can be switched, which no box holds.
        """
        if self.choices:
            raise ContractError("no box holds categories that can be switched; prove nothing")
        rules = self._rules(clean.double())
        slack = TOLERANCE * rules.scale * rules.movable
        lower, upper = rules.box(clean.double(), self.eps)
        # Rounding keeps order, so what is not above a bound is not above the rounded one.
        lower, upper = (lower - slack).to(clean), (upper + slack).to(clean)
        return torch.where(rules.movable, lower, clean), torch.where(rules.movable, upper, clean)

    def scaled(self, factor: float) -> Self:
        """Give the same constraints with another radius."""
        return replace(self, eps=self.eps * factor)

    def widest(self, clean: Tensor) -> float:
        """Give the diameter of the box of all rows in scaled units, of movable columns only."""
        rules = self._rules(clean)
        ranges = ((rules.high - rules.low) / rules.scale)[rules.movable]
        return float(ranges.amax() if self.norm == "Linf" else torch.linalg.vector_norm(ranges))

    def _rules(self, like: Tensor) -> Constraints:
        key = (like.device, like.dtype)
        if key not in self._moved:
            self._moved[key] = self.constraints.to(like)
        return self._moved[key]


def _widest(norm: Norm, shape: tuple[int, int, int]) -> float:
    """Give the diameter of the box of all images of a shape."""
    channels, height, width = shape
    cells = float(channels * height * width)
    return {"Linf": 1.0, "L2": math.sqrt(cells), "L1": cells, "L0": float(height * width)}[norm]


def _shrunk(rules: Constraints, perturbed: Tensor, clean: Tensor, eps: float) -> Tensor:
    shrink = (eps / rules.distances(perturbed, clean).clamp(min=1e-12)).clamp(max=1)
    return torch.where(rules.movable, clean + (perturbed - clean) * shrink, perturbed)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.rand(like.shape, generator=generator, device=generator.device)
    return drawn.to(like)


def _directions(mask: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a direction within ``mask`` and a length in [0, 1] per sample."""
    normal = torch.randn(mask.shape, generator=generator, device=generator.device).to(mask)
    lengths = torch.rand(len(mask), generator=generator, device=generator.device).to(mask)
    return _unit(normal * mask) * _per_sample(lengths, mask)


def _unit(vectors: Tensor) -> Tensor:
    return vectors / _lengths(vectors).clamp(min=1e-12)


def _lengths(vectors: Tensor) -> Tensor:
    return _per_sample(torch.linalg.vector_norm(vectors.flatten(1), dim=1), vectors)


def _per_sample(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 1))
