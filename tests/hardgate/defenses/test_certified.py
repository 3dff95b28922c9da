"""Certified recipes: how terms mix as the radius grows, and what bounds make of a network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.nn import functional

from hardgate import region
from hardgate.certification import Box, certify, intervals
from hardgate.defenses import Defense
from hardgate.defenses.bounds import calm
from hardgate.defenses.recipe import END, Batch, Moment
from hardgate.records import ImageInput
from hardgate.region import Region
from hardgate.threat import Threat

SPEC = ImageInput(kind="images", shape=(1, 2, 3), classes=("a", "b", "c"), mean=(0,), scale=(1,))
IMAGES = torch.rand(4, 1, 2, 3, generator=torch.Generator().manual_seed(5))
LABELS = torch.tensor([0, 1, 2, 1])
PGD = {"step_size": 0.05, "steps": 3}


def around(eps: float) -> Region:
    return region.build(Threat(norm="Linf", eps=eps, access="white-box", queries=1), SPEC)


def network(*, dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(0)
    first, second = nn.Linear(6, 8), nn.Linear(8, 3)
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), nn.Dropout(dropout), second)


def loss_of(
    recipe: dict[str, Any], model: nn.Module, *, eps: float = 0.1, moment: Moment = END
) -> Tensor:
    defense: Any = TypeAdapter(Defense).validate_python(recipe)
    generator = torch.Generator().manual_seed(0)
    loss: Tensor = defense.loss(Batch(model, IMAGES, LABELS, around(eps), generator, moment=moment))
    return loss


@pytest.mark.parametrize(
    "recipe",
    [{"recipe": "ibp", "kappa": 0.25}, {"recipe": "crown-ibp", "kappa": 0.25, "beta": 0.0}],
    ids=["ibp", "crown-ibp"],
)
def test_training_begins_with_the_clean_loss_and_ends_with_kappa_of_it(
    recipe: dict[str, Any],
) -> None:
    model = network()
    clean = functional.cross_entropy(model(IMAGES), LABELS).item()
    assert loss_of(recipe, model, moment=Moment(0, 0)).item() == pytest.approx(clean, rel=1e-5)
    proven = loss_of({"recipe": "ibp", "kappa": 0.0}, model).item()
    assert proven > clean + 0.01
    assert loss_of(recipe, model).item() == pytest.approx(0.25 * clean + 0.75 * proven, rel=1e-5)


def test_crowns_share_makes_the_loss_smaller_and_fades_with_the_radius() -> None:
    model = network()
    loose = loss_of({"recipe": "ibp", "kappa": 0.0}, model).item()
    crown = {"recipe": "crown-ibp", "kappa": 0.0}
    assert loss_of({**crown, "beta": 1.0}, model).item() < loose - 1e-4
    assert loss_of({**crown, "beta": 0.0}, model).item() == pytest.approx(loose)
    half = Moment(0.1, 0.5)
    all_of_it = loss_of({**crown, "beta": 1.0}, model, moment=half).item()
    assert loss_of({**crown, "beta": 0.0}, model, moment=half).item() > all_of_it


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_alpha_goes_from_attacked_to_proven(alpha: float) -> None:
    model = network()
    attacked = loss_of({"recipe": "pgd", **PGD}, model).item()
    proven = loss_of({"recipe": "ibp", "kappa": 0.0}, model).item()
    found = loss_of({"recipe": "mtl-ibp", "alpha": alpha, **PGD}, model).item()
    assert found == pytest.approx(alpha * proven + (1 - alpha) * attacked, rel=1e-5)


@pytest.mark.parametrize(
    "recipe",
    [{"recipe": "ibp", "kappa": 0.0}, {"recipe": "mtl-ibp", "alpha": 1.0, **PGD}],
    ids=["ibp", "mtl-ibp"],
)
def test_stretch_trains_bounds_at_a_larger_radius(recipe: dict[str, Any]) -> None:
    stretched = loss_of({**recipe, "stretch": 1.5}, network(), eps=0.1)
    plain = loss_of(recipe, network(), eps=0.15)
    assert stretched.item() == pytest.approx(plain.item(), rel=1e-5)


def test_bounds_are_those_without_dropout_and_the_mode_stays() -> None:
    model = network(dropout=0.9).train()
    found = loss_of({"recipe": "ibp", "kappa": 0.0}, model)
    assert found.item() == loss_of({"recipe": "ibp", "kappa": 0.0}, network()).item()
    assert model.training


def test_calm_weights_keep_a_box_its_size_where_usual_ones_blow_it_up() -> None:
    torch.manual_seed(0)
    wide = [nn.Linear(256, 256) for _ in range(6)]
    model = nn.Sequential(*(part for layer in wide for part in (layer, nn.ReLU())))
    box = Box(torch.full((1, 256), -0.1), torch.full((1, 256), 0.1))

    def grown() -> float:
        with torch.no_grad():
            after = intervals.propagate(model, box, rounded=False)[-2].after
        return (after.radius.mean() / box.radius.mean()).item()

    before = grown()
    calm(model)
    assert before > 100
    assert 0.01 < grown() < 3


def test_a_network_learns_what_can_be_proven() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(256, 1, 2, 3, generator=generator)
    labels = (images[:, 0, 0, 0] > 0.5).long()
    images[:, 0, 0, 0] = (images[:, 0, 0, 0] + 0.25 * (2 * labels - 1)).clamp(0, 1)
    model, tight = network(), around(0.1)
    defense: Any = TypeAdapter(Defense).validate_python({"recipe": "ibp", "kappa": 0.0})
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    untrained = certify(model, tight, images, labels, method="ibp", batch_size=64)
    for step in range(120):
        ramp = min(1.0, (step + 1) / 60)
        around_them, moment = tight.scaled(ramp), Moment(step / 120, ramp)
        optimiser.zero_grad()
        batch = Batch(model, images, labels, around_them, generator, moment=moment)
        loss = defense.loss(batch)
        loss.backward()
        optimiser.step()
    proven = certify(model, tight, images, labels, method="ibp", batch_size=64)
    assert untrained.float().mean() < 0.5
    assert proven.float().mean() > 0.95


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({"recipe": "ibp", "kappa": 0.0}, 4),
        ({"recipe": "ibp", "kappa": 0.5}, 6),
        ({"recipe": "crown-ibp", "kappa": 0.0, "beta": 0.0}, 4),
        ({"recipe": "crown-ibp", "kappa": 0.5, "beta": 0.5}, 26),
        ({"recipe": "mtl-ibp", "alpha": 0.5, **PGD}, 12),
    ],
)
def test_recipes_say_what_they_cost(recipe: dict[str, Any], expected: int) -> None:
    defense: Any = TypeAdapter(Defense).validate_python(recipe)
    assert defense.passes(10) == expected
