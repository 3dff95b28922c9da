"""People with a cell that nothing else tells, and models that learnt them by heart or did not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from hardgate import shadows
from hardgate.architectures import MLP
from hardgate.optimisation import Optimiser
from hardgate.records import Column, ColumnType, TableInput
from hardgate.samples import Samples
from hardgate.schedules import Constant
from hardgate.shadows import Shadows
from hardgate.subject import Origin, Subject
from hardgate.threat import Threat

REALS = tuple(
    Column(name=name, type=ColumnType.REAL, mean=0, scale=1, low=-9, high=9) for name in "abcd"
)
SECRET = Column(
    name="secret",
    type=ColumnType.CATEGORICAL,
    categories=("x", "y", "z"),
    sensitive=True,
    mean=0,
    scale=1,
    low=0,
    high=2,
)
SPEC = TableInput(kind="table", columns=(*REALS, SECRET), classes=("no", "yes"))
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=9, columns={"a": {}})
TRAINING: Any = SimpleNamespace(  # what a shadow takes of the section
    architecture=MLP(name="mlp", hidden=(128,)),
    optimiser=Optimiser(name="adam", rate=0.01),
    schedule=Constant(name="constant"),
)
HEART = Shadows(pairs=2, epochs=100, batch_size=50)  # as long as it takes to know them by heart
SENSE = Shadows(pairs=2, epochs=4, batch_size=50)

Learnt = Callable[..., tuple[Subject, Origin]]


def people(count: int, *, random: bool) -> tuple[Tensor, Tensor]:
    """Draw rows, and labels that follow the first column or nothing."""
    generator = torch.Generator().manual_seed(3)
    reals = torch.randn(count, 4, generator=generator)
    secrets = torch.randint(3, (count, 1), generator=generator).float()
    followed = torch.randn(count, generator=generator) if random else reals[:, 0]
    return torch.cat([reals, secrets], dim=1), (followed > 0).long()


@pytest.fixture
def learnt(subject_of: Any, origin_of: Any) -> Learnt:
    """Train a model on half of the people; a quarter is held out, a quarter is for the test."""

    def learn(how: Shadows, *, random: bool, count: int = 800) -> tuple[Subject, Origin]:
        inputs, labels = people(count, random=random)
        whole = subject_of(torch.nn.Identity(), SPEC, THREAT, inputs, labels)
        half = len(whole.test) // 2
        parted = dataclasses.replace(
            whole,
            held_out=whole.test.take(torch.arange(half)),
            test=whole.test.take(torch.arange(half, len(whole.test))),
        )
        model = shadows.fit(
            TRAINING,
            parted,
            parted.train,
            epochs=how.epochs,
            batch_size=how.batch_size,
            seed=9,
        )
        subject = dataclasses.replace(parted, model=model)
        return subject, origin_of(TRAINING, subject)

    return learn


def without(samples: Samples, count: int) -> Samples:
    """Leave out the first rows."""
    return samples.take(torch.arange(count, len(samples)))
