"""A standard-trained model to attack and to ask for labels, trained on the training split alone.

It is independent of what it judges: it has seen neither a made sample nor the held-out or test
split; which epoch was best is found on a part of the training split.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import nn

from hardgate import training
from hardgate.architectures import Architecture
from hardgate.defenses import Standard
from hardgate.early_stopping import EarlyStopping
from hardgate.monitors import Monitors
from hardgate.optimisation import Optimiser
from hardgate.records import InputSpec, Record
from hardgate.region import Region
from hardgate.samples import Samples
from hardgate.schedules import Cosine
from hardgate.training import Training

KEPT_BACK = 10  # one in so many samples finds the best epoch


class Surrogate(Record):
    """How the surrogate is trained; ``samples`` bounds how much of the training split it sees."""

    architecture: Architecture
    optimiser: Optimiser
    epochs: PositiveInt
    batch_size: PositiveInt
    samples: PositiveInt
    class_weights: Literal["balanced", "none"] = "none"

    def training(self, region: Region) -> Training:
        """Write it as a training section; a standard recipe needs no attack while it learns."""
        return Training(
            architecture=self.architecture,
            defense=Standard(recipe="standard"),
            optimiser=self.optimiser,
            schedule=Cosine(name="cosine"),
            epochs=self.epochs,
            batch_size=self.batch_size,
            class_weights=self.class_weights,
            early_stopping=EarlyStopping(
                every=1,
                steps=1,
                step_size=region.eps,
                samples=max(1, self.samples // KEPT_BACK),
                patience=self.epochs,
                score="balanced_accuracy",
            ),
            overfitting=Monitors(catastrophic=1, robust=1, evaluations=self.epochs),
        )


def train(
    params: Surrogate,
    spec: InputSpec,
    region: Region,
    samples: Samples,
    *,
    seed: int,
    device: torch.device,
) -> nn.Module:
    """Train the surrogate on a random part of ``samples``."""
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))
    some = samples.take(order[: params.samples])
    kept_back = max(1, len(some) // KEPT_BACK)
    index = torch.arange(len(some))
    with TemporaryDirectory(prefix="hardgate-") as directory:
        fitted = training.fit(
            params.training(region),
            spec,
            region,
            some.take(index[kept_back:]),
            some.take(index[:kept_back]),
            seed=seed,
            device=device,
            checkpoint=Path(directory) / "surrogate.safetensors",
            identity="surrogate",
        )
    return fitted.model
