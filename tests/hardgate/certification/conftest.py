"""Every architecture that can be bounded, small, with inputs and a region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from hardgate import region
from hardgate.architectures import Architecture
from hardgate.certification import Box
from hardgate.records import Column, ColumnType, ImageInput, InputSpec, TableInput
from hardgate.region import Region
from hardgate.threat import Freedom, Threat

NUMBERS = {"mean": 2.0, "scale": 3.0, "low": -9.0, "high": 9.0}
CODES = {"mean": 0.0, "scale": 1.0, "low": 0.0, "high": 2.0}
TABLE = TableInput(
    kind="table",
    columns=(
        Column(name="amount", type=ColumnType.REAL, **NUMBERS),
        Column(name="job", type=ColumnType.CATEGORICAL, categories=("a", "b", "c"), **CODES),
        Column(name="count", type=ColumnType.INTEGER, **NUMBERS),
        Column(name="age", type=ColumnType.REAL, **NUMBERS),
    ),
    classes=("no", "yes", "maybe"),
)
IMAGES = ImageInput(
    kind="images", shape=(2, 9, 8), classes=("a", "b", "c"), mean=(0.4, 0.5), scale=(0.2, 0.3)
)
SMALL = {"channels": 2, "hidden": 8}
CASES: tuple[tuple[str, dict[str, Any], InputSpec], ...] = (
    ("small-cnn", SMALL, IMAGES),
    ("small-cnn", {**SMALL, "saturate": 0.2}, IMAGES),
    ("madry-cnn", SMALL, IMAGES),
    ("wide-cnn", {**SMALL, "dropout": 0.2}, IMAGES),
    ("oriented-linear", {}, IMAGES),
    ("mlp", {"hidden": (12, 12)}, IMAGES),
    ("mlp", {"hidden": (12, 12), "activation": "silu", "squash": True}, TABLE),
    ("mlp", {"hidden": (12, 12), "activation": "gelu", "dropout": 0.2}, TABLE),
    ("residual-mlp", {"width": 8, "blocks": 2, "squash": True}, TABLE),
)


@dataclass(frozen=True)
class Case:
    """One architecture and what it takes."""

    name: str
    settings: dict[str, Any]
    spec: InputSpec

    def built(self, seed: int = 0) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            architecture: Any = TypeAdapter(Architecture).validate_python(
                {"name": self.name, **self.settings}
            )
            model: nn.Module = architecture.build(self.spec).eval()
            for weight in model.parameters():  # norms are not 1, biases not 0
                weight.data += 0.05 * torch.randn_like(weight)
        return model

    def region(self, eps: float) -> Region:
        free = {"amount": Freedom(), "count": Freedom()}
        columns = {} if isinstance(self.spec, ImageInput) else free
        threat = Threat(norm="Linf", eps=eps, access="white-box", queries=1, columns=columns)
        return region.build(threat, self.spec)

    def inputs(self, count: int = 5) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        if isinstance(self.spec, ImageInput):
            return torch.rand(count, *self.spec.shape, generator=generator)
        rows = 2 * torch.randn(count, 4, generator=generator)
        rows[:, 1] = torch.arange(count) % 4 - 1  # one is missing
        rows[:, 2] = rows[:, 2].round()
        rows[0, 0] = rows[1, 3] = torch.nan
        return rows

    def box(self, eps: float) -> Box:
        return Box(*self.region(eps).box(self.inputs()))


@pytest.fixture(params=CASES, ids=[f"{n}-{s.get('activation', i.kind)}" for n, s, i in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    return Case(*request.param)


@pytest.fixture
def draw() -> Callable[[Box, int], Tensor]:
    """Draw a point of each box: a corner for odd seeds, anywhere for even ones."""

    def drawn(box: Box, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        share = torch.rand(box.lower.shape, generator=generator)
        share = share.round() if seed % 2 else share
        point = box.lower + share * (box.upper - box.lower)
        return torch.minimum(torch.maximum(point, box.lower), box.upper)

    return drawn
