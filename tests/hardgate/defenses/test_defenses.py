"""What every recipe of the union keeps, and the losses of a linear model, known on paper."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from hardgate import region
from hardgate.defenses import Defense
from hardgate.defenses.fgsm_rs import scatter
from hardgate.defenses.losses import mean
from hardgate.defenses.mart import boosted
from hardgate.defenses.recipe import Batch, Moment
from hardgate.records import Column, ColumnType, ImageInput, TableInput
from hardgate.threat import Freedom, Threat

EPS = 0.1
SPEC = ImageInput(kind="images", shape=(1, 1, 2), classes=("a", "b"), mean=(0.0,), scale=(1.0,))
REGION = region.build(Threat(norm="Linf", eps=EPS, access="white-box", queries=1), SPEC)
PGD = {"step_size": 0.05, "steps": 8}
RECIPES: tuple[dict[str, Any], ...] = (
    {"recipe": "standard"},
    {"recipe": "fgsm-rs", "step_size": 0.25},
    {"recipe": "pgd", **PGD},
    {"recipe": "trades", "beta": 3.0, **PGD},
    {"recipe": "mart", "beta": 5.0, **PGD},
    {"recipe": "n-fgsm", "step_size": EPS, "noise": 2.0},
    {"recipe": "awp", "weight_step": 0.05, **PGD},
    {"recipe": "ibp", "kappa": 0.0},
    {"recipe": "crown-ibp", "kappa": 0.0, "beta": 0.5},
    {"recipe": "mtl-ibp", "alpha": 0.3, **PGD},
)
CERTIFIED = RECIPES[7:]  # what they share beyond this file is in test_certified.py
IDS = [recipe["recipe"] for recipe in RECIPES]
MEMBERS: TypeAdapter[Any] = TypeAdapter(Defense)
IMAGES = torch.tensor([[0.5, 0.4], [0.3, 0.6], [0.45, 0.55]]).view(3, 1, 1, 2)
LABELS = torch.tensor([0, 1, 0])


def linear() -> nn.Sequential:
    """Logit difference 2 * x0 - 4 * x1 + 1 between the two classes."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[2.0, -1.0], [0.0, 3.0]]))
        model[1].bias.copy_(torch.tensor([1.0, 0.0]))
    return model


def loss_of(recipe: dict[str, Any], model: nn.Module, **keywords: Any) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    defense = MEMBERS.validate_python(recipe)
    loss: Tensor = defense.loss(Batch(model, IMAGES, LABELS, REGION, generator, **keywords))
    return loss


def margins(*, attacked: bool) -> list[float]:
    """Logit of the label minus the other's, at the clean or the worst point; on paper."""
    clean = [2 * x - 4 * y + 1 for x, y in IMAGES.view(3, 2).tolist()]
    signed = [m if label == 0 else -m for m, label in zip(clean, LABELS.tolist(), strict=True)]
    return [m - EPS * (2 + 4) if attacked else m for m in signed]


def entropy(margin: float) -> float:
    return math.log1p(math.exp(-margin))


def sigmoid(margin: float) -> float:
    return 1 / (1 + math.exp(-margin))


def kl(clean: float, attacked: float) -> float:
    p, q = sigmoid(clean), sigmoid(attacked)
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def test_every_member_is_tried_here() -> None:
    union = get_args(get_args(Defense)[0])
    assert set(IDS) == {get_args(m.model_fields["recipe"].annotation)[0] for m in union}


def test_standard_is_the_cross_entropy_of_clean_inputs() -> None:
    expected = sum(map(entropy, margins(attacked=False))) / 3
    assert loss_of(RECIPES[0], linear()).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("recipe", RECIPES[1:3] + CERTIFIED, ids=IDS[1:3] + IDS[7:])
def test_adversarial_training_is_the_cross_entropy_of_the_worst_inputs(
    recipe: dict[str, Any],
) -> None:
    expected = sum(map(entropy, margins(attacked=True))) / 3
    assert loss_of(recipe, linear()).item() == pytest.approx(expected, rel=1e-5)


def test_trades_is_clean_loss_plus_beta_times_the_worst_divergence() -> None:
    # Both ends of the margin are uphill; which one is climbed depends on the start, so the value
    # lies between the two and the test model's starts (seed 0) may take either, per sample.
    clean = margins(attacked=False)
    natural = sum(map(entropy, clean)) / 3
    found = (loss_of(RECIPES[3], linear()).item() - natural) * 3 / 3.0
    ends = [(kl(m, m - 6 * EPS), kl(m, m + 6 * EPS)) for m in clean]
    sums = {a + b + c for a in ends[0] for b in ends[1] for c in ends[2]}
    assert min(abs(found - total) / total for total in sums) < 1e-4


def test_mart_is_the_boosted_loss_plus_beta_times_the_divergence_in_doubt() -> None:
    expected = 0.0
    for clean, attacked in zip(margins(attacked=False), margins(attacked=True), strict=True):
        # Two classes: the likeliest wrong class has 1 - p, so both terms are the cross-entropy.
        expected += 2 * entropy(attacked) + 5.0 * kl(clean, attacked) * (1 - sigmoid(clean))
    assert loss_of(RECIPES[4], linear()).item() == pytest.approx(expected / 3, rel=1e-5)


class Seen(nn.Module):
    """Keeps the last inputs."""

    def forward(self, inputs: Tensor) -> Tensor:
        self.inputs = inputs.detach()
        return inputs


def test_noise_and_step_of_n_fgsm_leave_the_ball_and_never_the_pixels() -> None:
    seen = Seen()
    loss_of(RECIPES[5], nn.Sequential(seen, linear()))
    apart = (seen.inputs - IMAGES).abs()
    assert EPS < apart.max() <= 3 * EPS + 1e-6
    assert ((seen.inputs >= 0) & (seen.inputs <= 1)).all()


def test_the_step_of_n_fgsm_grows_with_the_radius() -> None:
    seen = Seen()
    loss_of(
        RECIPES[5] | {"noise": 1e-6}, nn.Sequential(seen, linear()), moment=Moment(0.1, ramp=0.5)
    )
    assert (seen.inputs - IMAGES).abs().max().item() == pytest.approx(EPS / 2, rel=1e-3)


def test_awp_is_the_loss_and_the_slope_at_weights_moved_uphill() -> None:
    model = linear()
    loss = loss_of(RECIPES[6], model)
    loss.backward()
    weight = torch.tensor([[2.0, -1.0], [0.0, 3.0]])
    pulls = torch.where(LABELS == 0, 1.0, -1.0).view(3, 1)
    worst = IMAGES.view(3, 2) - EPS * pulls * torch.tensor([1.0, -1.0])

    def slope(at: Tensor) -> tuple[Tensor, Tensor]:
        logits = worst @ at.T + torch.tensor([1.0, 0.0])
        wrong = logits.softmax(1) - nn.functional.one_hot(LABELS, 2)
        losses = -logits.log_softmax(1)[torch.arange(3), LABELS]
        return losses.mean(), wrong.T @ worst / 3

    _, uphill = slope(weight)
    value, expected = slope(weight + 0.05 * weight.norm() * uphill / uphill.norm())
    assert loss.item() == pytest.approx(value.item(), rel=1e-4)
    assert torch.allclose(model[1].weight.grad, expected, atol=1e-5)


def test_the_boost_looks_at_the_likeliest_wrong_class_alone() -> None:
    logits = torch.tensor([[2.0, 1.0, -1.0], [0.0, 3.0, 1.0]])
    p = logits.softmax(1)
    expected = -torch.log(torch.stack([p[0, 0] * (1 - p[0, 1]), p[1, 2] * (1 - p[1, 1])]))
    assert torch.allclose(boosted(logits, torch.tensor([0, 2])), expected)


def test_the_boost_stays_finite_when_a_wrong_class_is_certain() -> None:
    assert boosted(torch.tensor([[0.0, 200.0]]), torch.tensor([0])).isfinite().all()


def test_weights_weigh_samples_and_are_normalised() -> None:
    losses = torch.tensor([1.0, 2.0, 3.0])
    weighed = mean(losses, torch.tensor([1.0, 4.0])[LABELS])
    assert weighed.item() == pytest.approx((1 + 4 * 2 + 3) / 6)


@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
def test_equal_weights_change_nothing(recipe: dict[str, Any]) -> None:
    plain = loss_of(recipe, linear())
    assert torch.allclose(loss_of(recipe, linear(), weights=torch.full((3,), 2.0)), plain)


@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
def test_the_same_seed_gives_the_same_loss_and_the_inputs_are_untouched(
    recipe: dict[str, Any],
) -> None:
    before = IMAGES.clone()
    assert loss_of(recipe, linear()).item() == loss_of(recipe, linear()).item()
    assert torch.equal(IMAGES, before)
    assert not IMAGES.requires_grad


@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
def test_only_the_weights_get_gradients_and_all_of_them_do(recipe: dict[str, Any]) -> None:
    model = linear()
    loss_of(recipe, model).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model[1].weight.grad.abs().sum() > 0


class Watch(nn.Module):
    """Notes in which mode it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[bool] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.modes.append(self.training)
        return inputs


@pytest.mark.parametrize("recipe", RECIPES[:7], ids=IDS[:7])
def test_the_attack_sees_evaluation_mode_the_loss_training_mode_and_both_are_restored(
    recipe: dict[str, Any],
) -> None:
    watch, frozen_part = Watch(), nn.Dropout(0.5)
    model = nn.Sequential(watch, frozen_part, linear()).train()
    frozen_part.eval()
    model[2][1].bias.requires_grad_(False)
    loss_of(recipe, model)
    defense = MEMBERS.validate_python(recipe)
    attacking, training = {
        "standard": (0, 1),
        "fgsm-rs": (1, 1),
        "n-fgsm": (1, 1),
        "pgd": (8, 1),
        "trades": (9, 2),
        "mart": (8, 2),
        "awp": (8, 2),
    }[recipe["recipe"]]
    assert watch.modes == [False] * attacking + [True] * training
    unfollowed = recipe["recipe"] == "trades"  # its reference is asked for without a gradient
    assert defense.passes(2) == 2 * (attacking + training) - unfollowed
    assert model.training
    assert not frozen_part.training
    assert not model[2][1].bias.requires_grad
    assert model[2][1].weight.requires_grad


def test_the_start_of_one_step_is_spread_over_the_whole_ball() -> None:
    black = torch.zeros(4000, 1, 1, 2)
    start = scatter(black, REGION, torch.Generator().manual_seed(0))
    assert start.abs().max() <= EPS
    assert start.min() < -0.99 * EPS
    assert start.mean().item() == pytest.approx(0, abs=0.003)
    assert start.std().item() == pytest.approx(EPS / 3**0.5, rel=0.03)


def test_the_start_of_one_step_moves_movable_columns_in_their_own_unit() -> None:
    numbers = {"type": ColumnType.REAL, "mean": 0.0, "low": -9.0, "high": 9.0}
    table = TableInput(
        kind="table",
        columns=(
            Column(name="fixed", scale=1.0, **numbers),
            Column(name="free", scale=50.0, **numbers),
        ),
        classes=("a", "b"),
    )
    threat = Threat(
        norm="Linf", eps=EPS, access="white-box", queries=1, columns={"free": Freedom()}
    )
    around = region.build(threat, table)
    start = scatter(torch.zeros(500, 2), around, torch.Generator().manual_seed(0))
    assert (start[:, 0] == 0).all()
    assert 0.95 * 50 * EPS < start[:, 1].max() <= 50 * EPS


def test_the_start_within_an_l2_ball_stays_in_it() -> None:
    threat = Threat(norm="L2", eps=EPS, access="white-box", queries=1)
    start = scatter(IMAGES, region.build(threat, SPEC), torch.Generator().manual_seed(0))
    assert ((start - IMAGES).flatten(1).norm(dim=1) <= EPS + 1e-6).all()
