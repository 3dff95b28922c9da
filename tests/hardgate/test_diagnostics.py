"""Masked models are planted here; each must be flagged, and the honest one must not."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from hardgate import diagnostics, masks, measurements, region
from hardgate.attacks import Attack
from hardgate.errors import ParamsError
from hardgate.measurements import SIGNS, Sign
from hardgate.records import Column, ImageInput, Measurement, TableInput
from hardgate.threat import Threat

BOUND = 0.1  # for the upper end, as a policy might have it
CLASSES = tuple("abcd")
IMAGES = ImageInput(kind="images", shape=(1, 8, 8), classes=CLASSES, mean=(0.5,), scale=(0.2,))
LADDER: tuple[dict[str, Any], ...] = (
    {"name": "pgd", "step_size": 0.01, "steps": 20, "restarts": 2},
    {"name": "apgd-ce", "steps": 10, "restarts": 1},
    {"name": "square", "restarts": 1},
)
TABLE = TableInput(
    kind="table",
    columns=tuple(
        Column(name=f"c{index}", type="real", mean=0, scale=1, low=-6, high=6) for index in range(8)
    ),
    classes=("no", "yes"),
)
TABLE_LADDER: tuple[dict[str, Any], ...] = (
    {"name": "constrained-pgd", "step_size": 0.1, "steps": 20, "restarts": 2, "check_every": 5},
    {"name": "constrained-search", "share": 0.5},
)


def attacks(ladder: tuple[dict[str, Any], ...]) -> tuple[Attack, ...]:
    return TypeAdapter(tuple[Attack, ...]).validate_python(ladder)


@cache
def trained(kind: str) -> tuple[nn.Module, Tensor, Tensor]:
    """An honest network, and samples that it was not trained on."""
    generator = torch.Generator().manual_seed(0)
    classes, shape = (4, (1, 8, 8)) if kind == "images" else (2, (8,))
    middle, spread = (0.5, 0.3) if kind == "images" else (0.0, 1.0)
    centres = torch.randn(classes, *shape, generator=generator) * spread
    labels = torch.randint(classes, (900,), generator=generator)
    noise = torch.randn(900, *shape, generator=generator) * spread * 0.7
    inputs = middle + centres[labels] + noise
    inputs = inputs.clamp(0, 1) if kind == "images" else inputs
    with torch.random.fork_rng():
        torch.manual_seed(0)
        width = inputs[0].numel()
        model = nn.Sequential(nn.Flatten(), nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, classes))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs[:750]), labels[:750]).backward()
        optimizer.step()
    return model, inputs[750:], labels[750:]


class Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner


class Quantised(Wrapped):
    """Rounds its inputs, so that no gradient comes through."""

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.inner((inputs * 8).round() / 8)
        return logits


class Cut(Wrapped):
    """Has no graph at all."""

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.inner(inputs.detach())
        return logits


class Saturated(Wrapped):
    """Has a temperature at which every softmax is exactly one-hot."""

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = 100 * self.inner(inputs)
        return logits


class Plateaus(Wrapped):
    """Scores its inputs honestly, and decides by something else."""

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.inner(inputs)
        decision = nn.functional.one_hot(logits.argmax(dim=1), logits.shape[1]).float()
        return 4 * decision + torch.sigmoid(logits)


class Random(Wrapped):
    """Adds noise to its inputs, different every time."""

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.inner(inputs + 0.3 * torch.randn_like(inputs))
        return logits


class Misleading(Wrapped):
    """Answers as it should, with a gradient that points the wrong way."""

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.inner(inputs)
        return 2 * logits.detach() - logits


def signs(model: nn.Module, kind: str) -> dict[str, Measurement]:
    _, inputs, labels = trained(kind)
    spec, ladder = (IMAGES, LADDER) if kind == "images" else (TABLE, TABLE_LADDER)
    columns = {} if kind == "images" else {column.name: {} for column in TABLE.columns}
    eps = 0.1 if kind == "images" else 0.5
    threat = Threat(norm="Linf", eps=eps, access="white-box", queries=150, columns=columns)
    return diagnostics.measure(
        attacks(ladder),
        threat,
        region.build(threat, spec),
        model,
        inputs,
        labels,
        seed=0,
        batch_size=64,
    )


def flagged(found: dict[str, Measurement]) -> set[Sign]:
    return {sign for sign in SIGNS if not found[measurements.diagnostics(sign)].upper <= BOUND}


@pytest.mark.parametrize("kind", ["images", "table"])
def test_an_honest_model_shows_no_sign(kind: str) -> None:
    found = signs(trained(kind)[0], kind)
    assert set(found) == {measurements.diagnostics(sign) for sign in SIGNS}
    assert flagged(found) == set()
    assert all(sign.samples == 150 for sign in found.values())


@pytest.mark.parametrize("kind", ["images", "table"])
@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (Quantised, {"zero_gradient_share"}),
        (Cut, {"zero_gradient_share"}),
        (Saturated, {"zero_gradient_share"}),
        (Random, {"answers_differ"}),
        (Plateaus, {"decision_jumps"}),
    ],
)
def test_a_planted_mask_is_flagged(mask: type[Wrapped], expected: set[Sign], kind: str) -> None:
    torch.manual_seed(0)
    assert expected <= flagged(signs(mask(trained(kind)[0]), kind))


@pytest.mark.parametrize("kind", ["images", "table"])
def test_a_gradient_that_misleads_is_flagged(kind: str) -> None:
    found = flagged(signs(Misleading(trained(kind)[0]), kind))
    assert {"loss_does_not_rise", "survives_unbounded"} <= found
    assert kind == "images" or "black_box_beats_white_box" in found  # 150 queries: few for images
    assert "zero_gradient_share" not in found


class Slope(nn.Module):
    """Two classes, and a border halfway that is ``steep`` times as steep as the whole way."""

    def __init__(self, steep: float) -> None:
        super().__init__()
        self.steep = steep

    def forward(self, inputs: Tensor) -> Tensor:
        height = (self.steep * (inputs.flatten(1).mean(dim=1) - 0.5)).clamp(-0.5, 0.5)
        return torch.stack([-height, height], dim=1)


@pytest.mark.parametrize(("steep", "jumps"), [(1, False), (500, False), (1000, True), (1e6, True)])
def test_a_border_too_steep_to_be_seen_from_afar_is_a_jump(steep: float, jumps: bool) -> None:
    inputs = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)]).repeat(20, 1, 1, 1)
    ball = region.build(Threat(norm="Linf", eps=0.1, access="white-box", queries=1), IMAGES)
    found = masks.decision_jumps(Slope(steep), ball, inputs, inputs, torch.Generator())
    assert found.tolist() == [jumps] * len(inputs)


class Step(nn.Module):
    """Decides by the sign of one column."""

    def __init__(self, column: int) -> None:
        super().__init__()
        self.column = column

    def forward(self, rows: Tensor) -> Tensor:
        return torch.stack([rows[:, self.column], -rows[:, self.column]], dim=1).sign()


def test_only_what_the_attacker_can_move_is_moved_towards_a_border() -> None:
    threat = Threat(norm="Linf", eps=0.5, access="white-box", queries=1, columns={"c1": {}})
    rows = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))

    def jumps(column: int) -> bool:
        found = masks.decision_jumps(
            Step(column), region.build(threat, TABLE), rows, rows, torch.Generator()
        )
        return bool(found.any())

    assert jumps(1)
    assert not jumps(0)


def test_a_curve_that_rises_clearly_is_flagged() -> None:
    def outcome(survivors: int) -> Any:
        survives = torch.arange(100) < survivors
        return diagnostics.Outcome(survives, survives, survives, survives)

    falling = [(1.0, outcome(60)), (0.5, outcome(90)), (2.0, outcome(63))]
    assert not diagnostics._rises(falling)
    assert diagnostics._rises([*falling, (4.0, outcome(90))])


@pytest.mark.parametrize(
    ("ladder", "message"),
    [(LADDER[1:], "add 'pgd'"), (LADDER[:2], "add 'square'")],
)
def test_a_ladder_without_something_to_compare_is_refused(
    ladder: tuple[dict[str, Any], ...], message: str
) -> None:
    with pytest.raises(ParamsError, match=message):
        diagnostics.check(attacks(ladder))


def test_the_same_seed_gives_the_same_signs() -> None:
    model = trained("table")[0]
    assert signs(model, "table") == signs(model, "table")
