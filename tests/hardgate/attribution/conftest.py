from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hardgate.attribution import Deleting, Explaining
from hardgate.records import Column, ColumnType, ImageInput, TableInput
from hardgate.samples import Samples

CATEGORIES = ("north", "south", "west")


class Additive(nn.Module):
    """Log-odds that are a sum over columns, with effects of categories and of missing cells."""

    weights = torch.tensor([2.0, -1.0, 0.5, 0.0])
    missing = torch.tensor([0.7, -0.3, 0.0, 0.0])
    category = torch.tensor([-0.4, 0.0, 1.5, 0.3])  # missing, north, south, west

    def effects(self, rows: Tensor) -> Tensor:
        numbers = rows[:, :4]
        numeric = torch.where(numbers.isnan(), self.missing, numbers.nan_to_num() * self.weights)
        return torch.cat([numeric, self.category[rows[:, 4:].long() + 1]], dim=1)

    def forward(self, rows: Tensor) -> Tensor:
        log_odds = self.effects(rows).sum(dim=1)
        return torch.stack([-log_odds / 2, log_odds / 2], dim=1)


@pytest.fixture
def additive() -> Additive:
    return Additive()


@pytest.fixture
def table() -> TableInput:
    real = [
        Column(name=name, type=ColumnType.REAL, mean=0, scale=1, low=-4, high=4)
        for name in ("income", "debt", "age")
    ]
    count = Column(name="children", type=ColumnType.INTEGER, mean=0, scale=1, low=-4, high=4)
    place = Column(
        name="place",
        type=ColumnType.CATEGORICAL,
        categories=CATEGORIES,
        mean=0,
        scale=1,
        low=0,
        high=2,
    )
    return TableInput(kind="table", columns=(*real, count, place), classes=("no", "yes"))


def rows(count: int, seed: int) -> Samples:
    """Rows with missing numbers and missing categories; labels follow the additive model."""
    generator = np.random.default_rng(seed)
    numbers = generator.normal(size=(count, 4)).clip(-4, 4)
    numbers[:, 3] = numbers[:, 3].round()
    numbers[generator.random((count, 4)) < 0.1] = np.nan
    places = generator.integers(-1, 3, (count, 1))
    inputs = torch.from_numpy(np.hstack([numbers, places]).astype(np.float32))
    labels = Additive()(inputs).argmax(dim=1)
    return Samples(inputs, labels, torch.arange(1000 * seed, 1000 * seed + count))


@pytest.fixture
def train() -> Samples:
    return rows(80, seed=1)


@pytest.fixture
def test() -> Samples:
    return rows(60, seed=2)


@pytest.fixture
def explaining() -> Explaining:
    return Explaining(
        background=20,
        explained=40,
        path_steps=4,
        noise=0.05,
        stability=30,
        deletion=Deleting(steps=3, orders=4, background=10),
        reference=0,
    )


@pytest.fixture
def pictures() -> ImageInput:
    return ImageInput(
        kind="images", shape=(1, 8, 8), classes=("a", "b", "c"), mean=(0.5,), scale=(0.3,)
    )


@pytest.fixture
def network() -> nn.Module:
    """A small smooth network for the pictures, in training mode."""
    generator = torch.Generator().manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.Softplus(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(256, 3),
    )
    for weights in network.parameters():
        nn.init.normal_(weights, std=0.3, generator=generator)
    return network


def images(count: int, seed: int) -> Samples:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 1, 8, 8), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 3, (count,), generator=generator)
    return Samples(pixels, labels, torch.arange(count))


@pytest.fixture
def image_train() -> Samples:
    return images(30, seed=1)


@pytest.fixture
def image_test() -> Samples:
    return images(20, seed=2)


@pytest.fixture
def explaining_images() -> Explaining:
    return Explaining(
        background=6,
        explained=12,
        path_steps=12,
        region=2,
        noise=0.05,
        stability=8,
        deletion=Deleting(steps=4, orders=3, background=3),
        reference=0,
    )
