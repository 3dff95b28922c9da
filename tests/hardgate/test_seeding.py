from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from hardgate import candidates, seeding
from hardgate.architectures import MLP
from hardgate.records import Column, ColumnType, TableInput

SPEC = TableInput(
    kind="table",
    columns=(Column(name="x", type=ColumnType.REAL, mean=0, scale=1, low=-9, high=9),),
    classes=("no", "yes"),
)
ARCHITECTURE = MLP(name="mlp", hidden=(8, 8))


@pytest.fixture
def hasty() -> Iterator[None]:
    """Let threads interrupt each other as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(draw: Callable[[int], Tensor], count: int) -> list[Tensor]:
    meet = threading.Barrier(2)

    def work(_: int) -> list[Tensor]:
        meet.wait()
        return [draw(seed) for seed in range(count)]

    with ThreadPoolExecutor(2) as pool:
        return [tensor for found in pool.map(work, range(2)) for tensor in found]


def built(seed: int) -> Tensor:
    model = candidates.build(ARCHITECTURE, SPEC, seed=seed)
    return torch.cat([weight.flatten() for weight in model.parameters()])


def dropped(seed: int) -> Tensor:
    layer = nn.Dropout(0.5)
    draws = seeding.of(layer, seed, torch.device("cpu"))
    found = []
    for _ in range(5):
        with draws:
            found.append(layer(torch.ones(40)))
    return torch.cat(found)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("draw", [built, dropped])
def test_threads_side_by_side_draw_what_each_would_alone(draw: Callable[[int], Tensor]) -> None:
    alone = [draw(seed) for seed in range(60)]
    assert len({tuple(tensor.tolist()) for tensor in alone}) == 60
    together = in_threads(draw, 60)
    for at, found in enumerate(together):
        assert torch.equal(found, alone[at % 60]), at


def test_a_stream_goes_on_where_it_was_left_and_leaves_others_alone() -> None:
    torch.manual_seed(5)
    whole = torch.rand(6)
    stream = seeding.Stream(5)
    torch.manual_seed(1)
    parts = []
    for _ in range(2):
        with stream:
            parts.append(torch.rand(3))
        torch.rand(9)
    torch.manual_seed(1)
    torch.testing.assert_close(torch.cat(parts), torch.cat([whole[:3], whole[3:]]))
    untouched = torch.rand(4)
    torch.manual_seed(1)
    with seeding.Stream(2):
        torch.rand(3)
    assert torch.equal(torch.rand(4), untouched)


def test_a_model_without_dropout_waits_for_nobody() -> None:
    with seeding.Stream(0):
        done = in_threads(
            lambda seed: _entered(seeding.of(nn.Linear(2, 2), seed, torch.device("cpu"))), 1
        )
    assert len(done) == 2


def _entered(draws: object) -> Tensor:
    with draws:  # type: ignore[attr-defined]
        return torch.zeros(1)
