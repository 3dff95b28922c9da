import gzip
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hardgate import augmentations, region
from hardgate.augmentations import Augmenting, surrogate
from hardgate.records import Column, ColumnType, ImageInput, InputSpec, TableInput, Tally
from hardgate.samples import Samples
from hardgate.threat import Threat

SURROGATES = {
    "table": {
        "architecture": {"name": "mlp", "hidden": [16]},
        "optimiser": {"name": "adam", "rate": 0.02},
        "epochs": 4,
        "batch_size": 64,
        "samples": 500,
    },
    "images": {
        "architecture": {"name": "mlp", "hidden": [32]},
        "optimiser": {"name": "adam", "rate": 0.01},
        "epochs": 3,
        "batch_size": 64,
        "samples": 600,
    },
}


@dataclass(frozen=True)
class World:
    """A training split, what describes it, and the threat to it."""

    train: Samples
    spec: InputSpec
    threat: Threat
    earlier: tuple[nn.Module, ...] = ()

    def section(self, *members: dict[str, Any]) -> Augmenting:
        kind = self.spec.kind
        return Augmenting.model_validate({"members": members, "surrogate": SURROGATES[kind]})

    def run(self, *members: dict[str, Any], seed: int = 0) -> tuple[Samples, tuple[Tally, ...]]:
        return augmentations.augment(
            self.section(*members),
            self.train,
            spec=self.spec,
            threat=self.threat,
            region=region.build(self.threat, self.spec),
            device=torch.device("cpu"),
            seed=seed,
            earlier=self.earlier,
        )

    def added(self, *members: dict[str, Any], seed: int = 0) -> Samples:
        corpus, _ = self.run(*members, seed=seed)
        return corpus.take(torch.arange(len(self.train), len(corpus)))


def table_rows(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Income (real), debts (whole, zero for many, at most income), job (one of three), label."""
    draws = np.random.default_rng(seed)
    labels = (draws.random(count) < 0.25).astype(np.int64)
    income = draws.gamma(4, 10, count) + 20 * (1 - labels)
    debts = np.floor(income * draws.random(count) * (draws.random(count) < 0.6 + 0.3 * labels))
    job = np.where(draws.random(count) < 0.7, labels, draws.integers(0, 3, count))
    rows = np.stack([income, debts, job], 1).astype(np.float32)
    rows[: count // 20, 0] = np.nan
    rows[: count // 50, 2] = -1
    return torch.from_numpy(rows), torch.from_numpy(labels)


def column(name: str, kind: ColumnType, values: torch.Tensor) -> Column:
    if kind is ColumnType.CATEGORICAL:
        marks = {"mean": 0, "scale": 1, "low": 0, "high": 2, "categories": ("a", "b", "c")}
    else:
        known = values[~values.isnan()].double()
        marks = {
            "mean": known.mean().item(),
            "scale": known.std(correction=0).item(),
            "low": known.min().item(),
            "high": known.max().item(),
        }
    return Column.model_validate({"name": name, "type": kind, **marks})


@pytest.fixture(scope="session")
def table() -> World:
    rows, labels = table_rows(400, seed=1)
    kinds = (ColumnType.REAL, ColumnType.INTEGER, ColumnType.CATEGORICAL)
    names = ("income", "debts", "job")
    columns = [column(n, k, rows[:, i]) for i, (n, k) in enumerate(zip(names, kinds, strict=True))]
    spec = TableInput(kind="table", columns=tuple(columns), classes=("good", "bad"))
    threat = Threat.model_validate(
        {
            "norm": "Linf",
            "eps": 0.3,
            "access": "white-box",
            "queries": 100,
            "columns": {"income": {}, "debts": {"min": 0}},
            "relations": ["debts <= income"],
        }
    )
    world = World(Samples(rows, labels, torch.arange(400)), spec, threat)
    return replace(world, earlier=versions(world))


def versions(world: World) -> tuple[nn.Module, ...]:
    """Train two models that could have been earlier versions."""
    section = world.section().surrogate
    around = region.build(world.threat, world.spec)
    return tuple(
        surrogate.train(
            section, world.spec, around, world.train, seed=seed, device=torch.device("cpu")
        )
        for seed in (11, 12)
    )


def read_idx(path: str, header: int, count: int) -> np.ndarray:
    with gzip.open(Path(path)) as file:
        return np.frombuffer(file.read(header + count), np.uint8, offset=header).copy()


@pytest.fixture(scope="session")
def digits() -> Callable[[str, int], tuple[torch.Tensor, torch.Tensor]]:
    def read(split: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = read_idx(f"data/mnist/{split}-images-idx3-ubyte.gz", 16, count * 784)
        labels = read_idx(f"data/mnist/{split}-labels-idx1-ubyte.gz", 8, count)
        images = torch.from_numpy(pixels.reshape(count, 1, 28, 28))
        return images, torch.from_numpy(labels.astype(np.int64))

    return read


@pytest.fixture(scope="session")
def images(digits) -> World:
    pixels, labels = digits("train", 600)
    spec = ImageInput(
        kind="images", shape=(1, 28, 28), classes=tuple("0123456789"), mean=(0.13,), scale=(0.31,)
    )
    threat = Threat(norm="Linf", eps=0.3, access="white-box", queries=100)
    world = World(Samples(pixels, labels, torch.arange(600)), spec, threat)
    return replace(world, earlier=versions(world))
