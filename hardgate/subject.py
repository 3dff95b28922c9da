"""Who is measured: the candidate with the data around it, and how it came about.

Probes and risks stand on a :class:`Subject`. What is measured by making other models like the
candidate, or by looking at its files and raw rows, takes its :class:`Origin` as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hardgate import samples
from hardgate.datasets import Raw
from hardgate.datasets.fresh import Fresh
from hardgate.errors import ContractError
from hardgate.records import InputSpec
from hardgate.region import Region
from hardgate.samples import Samples
from hardgate.threat import Threat
from hardgate.training import Training


@dataclass(frozen=True)
class Subject:
    """A model and the splits; ``attacked`` holds positions in the test split."""

    model: nn.Module
    spec: InputSpec
    threat: Threat
    region: Region
    train: Samples
    held_out: Samples
    test: Samples
    attacked: Tensor
    batch_size: int
    device: torch.device
    seed: int

    def shown(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Give the test inputs at ``index`` as floats, and their labels, on the model's device."""
        chosen = self.test.take(index)
        return chosen.floats().to(self.device), chosen.labels.to(self.device)

    def logits(self, inputs: Tensor) -> Tensor:
        """Give the model's answers, shape ``(n, k)``; uint8 images are scaled batch by batch."""
        with torch.no_grad():
            return torch.cat(
                [
                    self.model(samples.as_floats(batch).to(self.device)).cpu()
                    for batch in torch.split(inputs, self.batch_size)
                ]
            )

    def predict(self, inputs: Tensor) -> Tensor:
        """Give probabilities, shape ``(n, k)``."""
        return torch.softmax(self.logits(inputs), dim=1)


def _unreadable(path: str, _spec: InputSpec) -> Fresh:
    raise ContractError(f"{path}: nobody said how new data are read")


@dataclass(frozen=True)
class Origin:
    """How the candidate came about.

    ``training`` is its section, ``directory`` its files, and ``scratch`` a folder where models
    trained beside it may leave checkpoints. ``raw`` reads the rows as validation read them,
    ``corpus`` the training split with everything augmentation added. ``fresh`` reads a file of new
    data as the model would. ``attempt`` counts from 1 which version of the model this would become.
    ``results`` is a folder for what people are to look at; without one, nothing is left.
    """

    training: Training
    directory: Path
    scratch: Path
    raw: Callable[[], Raw]
    corpus: Callable[[], Samples]
    attempt: int = 1
    fresh: Callable[[str, InputSpec], Fresh] = _unreadable
    results: Path | None = None


def choose(test: Samples, count: int, *, seed: int) -> Tensor:
    """Draw which test samples are attacked: rising positions, all when there are fewer."""
    order = np.random.default_rng(seed).permutation(len(test))[:count]
    return torch.from_numpy(np.sort(order))
