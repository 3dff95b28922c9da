"""Projections of images onto balls and box, beside references that are slow and sure."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from hardgate import balls, region
from hardgate.errors import ParamsError
from hardgate.records import Column, ImageInput, TableInput
from hardgate.region import ImageRegion
from hardgate.threat import Threat

SPEC = ImageInput(kind="images", shape=(2, 3, 3), classes=("a", "b"), mean=(0, 0), scale=(1, 1))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pairs(count: int, *shape: int) -> tuple[Tensor, Tensor]:
    clean = torch.rand(count, *shape, generator=seeded(1))
    return clean, clean + 1.5 * torch.randn(count, *shape, generator=seeded(2))


def halved(perturbed: Tensor, clean: Tensor, eps: float) -> Tensor:
    """The same projection, with the shrinkage found by halving in double precision."""
    clean, change = clean.double().flatten(1), (perturbed - clean).double().flatten(1)

    def shrunk(by: Tensor) -> Tensor:
        return (clean + (change.abs() - by).clamp(min=0) * change.sign()).clamp(0, 1)

    low, high = torch.zeros(len(clean), 1).double(), change.abs().amax(dim=1, keepdim=True)
    fits = (shrunk(low) - clean).abs().sum(dim=1, keepdim=True) <= eps
    for _ in range(80):
        middle = (low + high) / 2
        far = (shrunk(middle) - clean).abs().sum(dim=1, keepdim=True) > eps
        low, high = torch.where(far, middle, low), torch.where(far, high, middle)
    return shrunk(torch.where(fits, 0.0, high))


@pytest.mark.parametrize("eps", [0.01, 0.5, 2.0, 6.0, 17.0])
def test_the_projection_onto_l1_ball_and_box_is_the_one_that_halving_finds(eps: float) -> None:
    clean, perturbed = pairs(60, 2, 3, 3)
    found = balls.project_l1(perturbed, clean, eps)
    torch.testing.assert_close(
        found.flatten(1).double(), halved(perturbed, clean, eps), rtol=0, atol=2e-6
    )


def test_no_image_of_l1_ball_and_box_lies_nearer_than_the_projection() -> None:
    """A solver knows nothing of shrinkage: changes are split into rise and fall."""
    clean, perturbed = (each.double().flatten(1).numpy() for each in pairs(4, 1, 2, 3))
    found = balls.project_l1(
        torch.from_numpy(perturbed).view(4, 1, 2, 3), torch.from_numpy(clean).view(4, 1, 2, 3), 0.8
    )
    for start, goal, moved in zip(clean, perturbed, found.flatten(1).numpy(), strict=True):
        size = len(start)

        def far(split: np.ndarray, start: np.ndarray = start, goal: np.ndarray = goal) -> float:
            half = len(start)
            return float(np.square(start + split[:half] - split[half:] - goal).sum())

        best = minimize(
            far,
            np.zeros(2 * size),
            bounds=[*((0, 1 - x) for x in start), *((0, x) for x in start)],
            constraints={"type": "ineq", "fun": lambda split: 0.8 - split.sum()},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        assert best.success
        assert np.square(moved - goal).sum() == pytest.approx(best.fun, abs=1e-5)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_no_choice_of_pixels_lies_nearer_than_the_l0_projection(count: int) -> None:
    clean, perturbed = pairs(20, 2, 3, 3)
    found = balls.project_l0(perturbed, clean, count)
    inside = perturbed.clamp(0, 1)
    distances = []
    for chosen in combinations(range(9), count):
        mask = torch.zeros(9, dtype=torch.bool)
        mask[list(chosen)] = True
        other = torch.where(mask.view(1, 1, 3, 3), inside, clean)
        distances.append((other - perturbed).flatten(1).norm(dim=1))
    nearest = torch.stack(distances).amin(dim=0)
    torch.testing.assert_close((found - perturbed).flatten(1).norm(dim=1), nearest)
    assert (balls.changed_pixels(found, clean) <= count).all()


@pytest.mark.parametrize(("norm", "eps"), [("L1", 2.0), ("L0", 3.0)])
def test_starts_projections_and_clean_images_are_admissible(norm: str, eps: float) -> None:
    ball = ImageRegion(norm, eps)
    clean, perturbed = pairs(50, 2, 3, 3)
    for moved in (
        ball.start(clean, seeded()),
        ball.project(perturbed, clean),
        ball.repair(perturbed, clean),
        clean,
    ):
        assert ball.admits(moved, clean).all()
    assert not ball.admits(perturbed.clamp(0, 1), clean).any()
    assert len(ball.start(clean, seeded()).flatten(1).unique(dim=0)) == 50
    torch.testing.assert_close(ball.project(clean, clean), clean)
    low, high = ball.box(clean)
    moved = ball.project(perturbed, clean)
    assert ((moved >= low) & (moved <= high)).all()


@pytest.mark.parametrize(("norm", "eps"), [("L1", 2.0), ("L0", 3.0)])
def test_at_the_widest_radius_the_norm_bounds_nothing(norm: str, eps: float) -> None:
    clean, perturbed = pairs(50, 2, 3, 3)
    ball = ImageRegion(norm, eps)
    wide = ball.scaled(ball.widest(clean) / eps)
    torch.testing.assert_close(wide.project(perturbed, clean), perturbed.clamp(0, 1))


def test_a_pixel_counts_once_whatever_its_channels_do() -> None:
    clean = torch.zeros(1, 2, 3, 3)
    moved = clean.clone()
    moved[0, :, 0, 0] = 1
    assert ImageRegion("L0", 1).admits(moved, clean).all()
    moved[0, 0, 1, 1] = 1e-6  # nothing is so little that it does not count
    assert not ImageRegion("L0", 1).admits(moved, clean).any()


def test_a_radius_between_two_numbers_of_pixels_is_rounded_down() -> None:
    assert balls.pixels(2.5) == 2
    assert balls.pixels(10 * 0.3) == 3


@pytest.mark.parametrize(
    ("norm", "eps", "said"),
    [
        ("L1", 18, "an L1 radius of 18 covers every image"),
        ("L0", 9, "an L0 radius of 9 covers every image"),
        ("L0", 2.5, "an L0 radius counts pixels, 2.5 is no count"),
    ],
)
def test_a_radius_that_means_nothing_is_refused(norm: str, eps: float, said: str) -> None:
    threat = Threat(norm=norm, eps=eps, access="white-box", queries=1)
    with pytest.raises(ParamsError, match=said):
        region.build(threat, SPEC)


@pytest.mark.parametrize("norm", ["L1", "L0"])
def test_tables_refuse_norms_that_are_for_images(norm: str) -> None:
    columns = (Column(name="a", type="real", mean=0, scale=1, low=-1, high=1),)
    threat = Threat(norm=norm, eps=1, access="white-box", queries=1, columns={"a": {}})
    with pytest.raises(ParamsError, match=f"{norm} is for images"):
        region.build(threat, TableInput(kind="table", columns=columns, classes=("x", "y")))


def test_a_threat_grants_what_needs_no_more_than_its_attacker_sees() -> None:
    def granted(access: str) -> list[bool]:
        threat = Threat(norm="L1", eps=1, access=access, queries=1)
        return [threat.grants(each) for each in ("white-box", "score-based", "decision-based")]

    assert granted("white-box") == [True, True, True]
    assert granted("score-based") == [False, True, True]
    assert granted("decision-based") == [False, False, True]
