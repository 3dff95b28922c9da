"""The sampled Gaussian mechanism: draw rows, bound each, add noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from hardgate.privacy import accounting, clipping
from hardgate.privacy.accounting import Spent
from hardgate.privacy.keystream import Keystream
from hardgate.privacy.section import Privacy

TOGETHER = 512  # rows of a batch that are in memory at once


class Mechanism:
    """Turns losses of rows into gradients that hide each row.

    Every row is in every batch by its own coin (``rate``), so a batch has ``batch_size`` rows on
    average, and what is summed is divided by that number and not by how many came.

    Parameters
    ----------
    key
        Makes rows and noise repeat themselves, and epsilon void; for tests.
    """

    def __init__(
        self,
        section: Privacy,
        model: nn.Module,
        *,
        rows: int,
        batch_size: int,
        epochs: int,
        key: bytes | None = None,
    ) -> None:
        self.section = section
        self.model = model
        self.rows = rows
        self.expected = min(batch_size, rows)
        self.rate = self.expected / rows
        self.steps = round(1 / self.rate)  # per epoch
        self.noise = accounting.least_noise(
            epsilon=section.epsilon,
            delta=section.delta,
            rate=self.rate,
            steps=self.steps * epochs,
        )
        self._stream = Keystream(key)

    def batches(self) -> Iterator[Tensor]:
        """Draw one epoch's batches, as positions of rows; one may be empty."""
        for _ in range(self.steps):
            yield self._stream.drawn(self.rows, self.rate)

    def gradients(self, index: Tensor, losses: Callable[[Tensor], Tensor]) -> Tensor:
        """Give the weights, whose gradients were forgotten, those of a batch.

        Parameters
        ----------
        losses
            Maps positions of rows to one loss each.

        Returns
        -------
        Tensor
            The sum of the losses. It hides nobody, and must not be kept.
        """
        total = torch.zeros(())
        for part in torch.split(index, TOGETHER) if len(index) else ():
            bound = self.section.max_grad_norm
            found = clipping.add_clipped(self.model, partial(losses, part), bound=bound)
            total += found.sum().cpu()
        self._blur()
        return total

    def spent(self, epochs: int) -> Spent:
        """Count what so many epochs cost."""
        return Spent(
            noise=self.noise,
            rate=self.rate,
            steps=self.steps * epochs,
            delta=self.section.delta,
        )

    @torch.no_grad()
    def _blur(self) -> None:
        """Add noise to what rows asked for, also where none did, and average."""
        deviation = self.noise * self.section.max_grad_norm
        for weight in self.model.parameters():
            noise = (deviation * self._stream.normals(weight.numel())).to(weight).view_as(weight)
            asked = noise if weight.grad is None else weight.grad + noise
            weight.grad = asked / self.expected
