"""Random search and gradient ascent, each from where the other stopped.

Where a network is flat, squares still find a way that no gradient shows; once they are off the
plateau, a gradient needs a few steps for what squares take a thousand queries to do. So the two
take turns: squares (Andriushchenko et al. 2020, arXiv:1912.00049, as in
:mod:`hardgate.attacks.square`), then ascent of the cross-entropy with steps that set themselves
(Croce and Hein 2020, arXiv:2003.01690, as in :mod:`hardgate.attacks.autopgd`). That either of two
attacks does better from where another one ended is known from Suya et al. (2020), "Hybrid batch
attacks", arXiv:1908.07000.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from hardgate.attacks import autopgd, losses, square
from hardgate.attacks.ascent import frozen, margin
from hardgate.attacks.asking import ROWS, ROWS_CUDA
from hardgate.attacks.on_images import OnImages
from hardgate.errors import ContractError
from hardgate.records import Norm
from hardgate.region import Region
from hardgate.threat import Threat


class Relay(OnImages):
    """In each of ``rounds``, ``queries`` squares and ``steps`` of ascent; Linf only."""

    norms: ClassVar[tuple[Norm, ...]] = ("Linf",)
    name: Literal["relay"]
    queries: PositiveInt
    steps: PositiveInt
    rounds: PositiveInt

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
        """Keep where the last round of each image ended; only survivors see another."""
        if region.norm != "Linf":
            raise ContractError(f"relay searches Linf balls, the region's norm is {region.norm}")
        worst = inputs.clone()
        left = torch.arange(len(inputs), device=inputs.device)
        with frozen(model), torch.no_grad():
            for turn in range(self.rounds):
                start = worst[left] if turn else None
                worst[left] = self._turn(
                    model, inputs[left], labels[left], region, start, generator=generator
                )
                left = left[margin(model(worst[left]), labels[left]) >= 0]
                if len(left) == 0:
                    break
        return region.repair(worst, inputs)

    def _turn(
        self,
        model: nn.Module,
        clean: Tensor,
        labels: Tensor,
        region: Region,
        start: Tensor | None,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """Search with squares, then climb from where each image has come to."""
        reached = clean.clone()
        rows = ROWS_CUDA if clean.is_cuda else ROWS
        for part in torch.split(torch.arange(len(clean), device=clean.device), rows):
            begin = None if start is None else start[part]
            search = square.Search(model, clean[part], labels[part], region.eps, generator, begin)
            search.run(self.queries)
            reached[part] = search.worst
        stands = (margin(model(reached), labels) >= 0).nonzero().flatten()
        if len(stands):
            reached[stands] = autopgd.search(
                model,
                clean[stands],
                labels[stands],
                labels[stands].unsqueeze(1),
                region,
                loss=losses.cross_entropy,
                steps=self.steps,
                generator=generator,
                starts=reached[stands],
            )
        return reached
