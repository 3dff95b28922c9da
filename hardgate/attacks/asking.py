"""What attacks that only ask share: which query an input fell with, and how many there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from hardgate.attacks.ascent import frozen
from hardgate.attacks.on_images import OnImages
from hardgate.region import Region
from hardgate.threat import Threat

STANDS = -1  # in place of a query: the input never fell
ROWS = 256  # images at once on a processor: more are no faster, and leave its cache
ROWS_CUDA = 8192
SHRINK_EVERY = 20  # queries


@dataclass(frozen=True)
class Searched:
    """What was found, and the query that each input first fell with: 1 is the first."""

    inputs: Tensor  # (n, ...), admissible
    fell_at: Tensor  # (n,), int64


class Search(ABC):
    """One search on a batch of images, whose best and queries it holds when it has run.

    ``alongside`` names the tensors of a search that have a row for each image still searched.
    """

    alongside: ClassVar[tuple[str, ...]]

    def __init__(
        self, model: nn.Module, clean: Tensor, labels: Tensor, generator: torch.Generator
    ) -> None:
        self.model, self.generator = model, generator
        self.worst, self.fell_at = clean.clone(), torch.full_like(labels, STANDS)
        self.rows = torch.arange(len(clean), device=clean.device)  # those still searched
        self.clean, self.labels = clean, labels

    @abstractmethod
    def run(self, queries: int) -> None:
        """Spend ``queries`` per image, fewer on images that fall."""

    @abstractmethod
    def best(self) -> Tensor:
        """Give the worst image found so far of each that is still searched."""

    def shrink(self) -> None:
        """Let images that fell leave the search."""
        self.keep()
        left = self.fell_at[self.rows] == STANDS
        if left.all():
            return
        for name in ("rows", "clean", "labels", *self.alongside):
            setattr(self, name, getattr(self, name)[left])

    def keep(self) -> None:
        """Remember the best of each image that is still searched."""
        self.worst[self.rows] = self.best()

    def draw(self, count: int) -> Tensor:
        """Draw ``count`` numbers in [0, 1] for each image that is still searched."""
        size, device = (len(self.rows), count), self.generator.device
        return torch.rand(size, generator=self.generator, device=device).to(self.clean.device)


class Asking(OnImages):
    """An attack that only asks, ``queries`` times per image at most.

    Without ``queries`` it asks as often as the threat's attacker could.
    """

    queries: PositiveInt | None = None

    def budget(self, threat: Threat) -> int:
        """Count the queries that one image is asked at most."""
        return self.queries or threat.queries

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
        """Give the worst image that the search came to."""
        return self.search(model, inputs, labels, threat, region, generator=generator).inputs

    def search(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        threat: Threat,
        region: Region,
        *,
        generator: torch.Generator,
    ) -> Searched:
        """Search; say also with which query each image fell."""
        worst, fell_at = inputs.clone(), torch.full_like(labels, STANDS)
        everything = torch.arange(len(inputs), device=inputs.device)
        with frozen(model), torch.no_grad():
            for rows in torch.split(everything, ROWS_CUDA if inputs.is_cuda else ROWS):
                search = self.begin(model, inputs[rows], labels[rows], region, generator)
                search.run(self.budget(threat))
                worst[rows], fell_at[rows] = search.worst, search.fell_at
        return Searched(region.repair(worst, inputs), fell_at)

    @abstractmethod
    def begin(
        self,
        model: nn.Module,
        clean: Tensor,
        labels: Tensor,
        region: Region,
        generator: torch.Generator,
    ) -> Search:
        """Begin a search on one batch."""
