"""Training on MNIST by the clock, for the benchmarks that ask what a budget of time can buy.

Radius and rate follow the clock, not the epochs, so a slower machine takes fewer steps of the same
schedule. Only training counts: the clock stands while a model is judged. On a busy machine the
wall's clock says little; the processor's is the sum over all threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import torch
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from hardgate import candidates, region, training
from hardgate.architectures import Architecture
from hardgate.datasets import idx
from hardgate.defenses import Defense
from hardgate.defenses.recipe import Batch, Moment
from hardgate.defenses.starts import Starts
from hardgate.optimisation import Descent, Optimiser
from hardgate.records import ImageInput, Rate, Record
from hardgate.region import Region
from hardgate.schedules import Schedule
from hardgate.threat import Threat

DATA = Path(__file__).resolve().parents[1] / "data" / "mnist"
THREAT = Threat(norm="Linf", eps=0.3, access="white-box", queries=1)
TINY = 1e-3  # of the radius: the first step needs one that is not nothing


class Plan(Record):
    """A recipe and everything about it but the time; ``ramp`` is the share in which eps grows."""

    architecture: Architecture
    defense: Defense
    optimiser: Optimiser
    schedule: Schedule
    batch_size: PositiveInt
    ramp: Rate
    shift: NonNegativeInt = 0  # pixels
    averaging: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _stays(self) -> Self:
        if self.shift and self.defense.carries > 1:
            raise ValueError("shift moves the images away from the starts that carry keeps")
        return self


# The recipe that proves most, of certified.py and of training.py's longer budgets.
BOUNDED = Plan.model_validate(
    {
        "architecture": {"name": "small-cnn", "channels": 16, "hidden": 100, "saturate": 0.4},
        "defense": {"recipe": "ibp", "kappa": 0, "stretch": 1.1},
        "optimiser": {"name": "adam", "rate": 0.0015, "clip": 10.0},
        "schedule": {"name": "cosine", "hold": 0.5},
        "batch_size": 128,
        "ramp": 0.4,
    }
)


@dataclass
class Clock:
    """Seconds of training alone, of the wall and of the processor."""

    by_processor: bool
    wall: float = 0.0
    processor: float = 0.0
    _started: tuple[float, float] = field(default=(0.0, 0.0), repr=False)

    @property
    def spent(self) -> float:
        """Seconds of the clock that the budget is in."""
        return self.processor if self.by_processor else self.wall

    def start(self) -> None:
        """Begin to count."""
        self._started = time.monotonic(), time.process_time()

    def stop(self) -> None:
        """Add what has passed since the start."""
        self.wall += time.monotonic() - self._started[0]
        self.processor += time.process_time() - self._started[1]


@dataclass(frozen=True)
class Point:
    """A model on the way, in evaluation mode, and how far it is."""

    model: nn.Module
    seconds: float
    epochs: float
    ramp: float
    loss: float


def read(split: str) -> tuple[Tensor, Tensor]:
    """Give images in [0, 1], shape ``(n, 1, 28, 28)``, and labels."""
    images = idx.read(DATA / f"{split}-images-idx3-ubyte.gz", name="images", dimensions=3)
    labels = idx.read(DATA / f"{split}-labels-idx1-ubyte.gz", name="labels", dimensions=1)
    return torch.tensor(images).unsqueeze(1).float() / 255, torch.tensor(labels).long()


def describe(images: Tensor) -> ImageInput:
    """Say what the networks take."""
    return ImageInput(
        kind="images",
        shape=(1, 28, 28),
        classes=tuple(str(label) for label in range(10)),
        mean=(images.mean().item(),),
        scale=(images.std().item(),),
    )


def train(
    plan: Plan,
    images: Tensor,
    labels: Tensor,
    clock: Clock,
    *,
    seconds: float,
    every: float,
    seed: int,
) -> Iterator[Point]:
    """Train until the time is up, and show the model every so many seconds and at the end."""
    spec = describe(images)
    torch.manual_seed(seed)
    model = candidates.build(plan.architecture, spec, seed=seed)
    run = Run(plan, model, region.build(THREAT, spec), images)
    generator = torch.Generator().manual_seed(seed)
    told = 0.0
    while True:
        for index in torch.randperm(len(images), generator=generator).split(plan.batch_size):
            clock.start()
            run.step(index, labels[index], clock.spent / seconds, generator)
            clock.stop()
            if clock.spent >= seconds:
                yield run.show(clock.spent)
                return
            if clock.spent - told >= every:
                told = clock.spent
                yield run.show(clock.spent)


class Run:
    """Weights in training."""

    def __init__(self, plan: Plan, model: nn.Module, around: Region, images: Tensor) -> None:
        self.plan, self.model, self.around, self.images = plan, model, around, images
        plan.defense.prepare(model)
        self.descent = Descent(plan.optimiser, model)
        self.average = training.averaged(model, plan.averaging)
        self.starts = Starts(images) if plan.defense.carries > 1 else None
        self.seen, self.ramp, self.loss = 0, 0.0, torch.zeros(())

    def step(
        self, index: Tensor, labels: Tensor, progress: float, generator: torch.Generator
    ) -> None:
        """Take one step on one batch."""
        plan = self.plan
        self.ramp = min(1.0, max(progress, TINY) / plan.ramp) if plan.ramp else 1.0
        self.model.train()
        fresh = bool(self.starts) and self.seen // len(self.images) % plan.defense.carries == 0
        self.loss = plan.defense.loss(
            Batch(
                self.model,
                shifted(self.images[index], plan.shift, generator),
                labels,
                self.around if self.ramp == 1 else self.around.scaled(self.ramp),
                generator,
                moment=Moment(progress, self.ramp),
                carried=self.starts.of(index, fresh=fresh) if self.starts else None,
            )
        )
        self.descent.forget()
        self.loss.backward()
        self.descent.step(factor=plan.schedule.factor(progress))
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.seen += len(index)

    def show(self, seconds: float) -> Point:
        """Give the network that would be kept."""
        model = self.model if self.average is None else self.average.module
        epochs = self.seen / len(self.images)
        return Point(model.eval(), seconds, epochs, self.ramp, self.loss.item())


def shifted(images: Tensor, reach: int, generator: torch.Generator) -> Tensor:
    """Move the whole batch by up to ``reach`` pixels: the digits are the same digits."""
    if not reach:
        return images
    down, right = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
    return torch.roll(images, (down, right), (2, 3))  # the rim is black
