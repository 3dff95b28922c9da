"""Attacks that only ask: what they see, what they count, and what they find."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hardgate.attacks import RayS, SimBA, SparseRS, Square
from hardgate.attacks.asking import STANDS, Searched
from hardgate.region import ImageRegion
from hardgate.threat import Threat

QUERIES = 120
CASES = {
    "square": (Square(name="square", restarts=1), "Linf", 0.03),
    "square twice": (Square(name="square", restarts=2), "Linf", 0.03),
    "sparse-rs L0": (SparseRS(name="sparse-rs"), "L0", 1.0),
    "sparse-rs L1": (SparseRS(name="sparse-rs"), "L1", 0.6),
    "simba": (SimBA(name="simba"), "L2", 0.2),
    "rays": (RayS(name="rays"), "Linf", 0.03),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Seen(nn.Module):
    """A linear model that remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.randn(64, generator=seeded(7))
        self.asked: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.asked.append(images.clone())
        score = (images - 0.5).flatten(1) @ self.weights
        return torch.stack([-score, score], dim=1)


class Blunt(Seen):
    """The same, but answers say the class and nothing else."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.one_hot(super().forward(images).argmax(dim=1), 2).float()


def search(name: str, model: nn.Module, clean: Tensor, labels: Tensor, seed: int = 0) -> Searched:
    attack, norm, eps = CASES[name]
    threat = Threat(norm=norm, eps=eps, access="decision-based", queries=QUERIES)
    return attack.search(
        model, clean, labels, threat, ImageRegion(norm, eps), generator=seeded(seed)
    )


def planted() -> tuple[Tensor, Tensor]:
    clean = 0.2 + 0.6 * torch.rand(40, 1, 8, 8, generator=seeded(3))
    return clean, Seen()(clean).argmax(dim=1)


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_to_have_fallen_is_wrong_and_what_stands_is_right(name: str) -> None:
    clean, labels = planted()
    found = search(name, Seen(), clean, labels)
    fell = found.fell_at != STANDS
    assert 5 < fell.sum() < 40
    assert torch.equal(Seen()(found.inputs).argmax(dim=1) != labels, fell)
    assert found.fell_at[fell].min() >= 1
    assert found.fell_at.max() <= QUERIES


@pytest.mark.parametrize("name", CASES)
def test_the_query_that_an_image_falls_with_is_the_first_wrong_answer_within_the_ball(
    name: str,
) -> None:
    clean, labels = planted()
    _, norm, eps = CASES[name]
    for row in (0, 9, 21):
        model = Seen()
        found = search(name, model, clean[row : row + 1], labels[row : row + 1])
        wrong = [
            bool(model(asked).argmax() != labels[row])
            and bool(ImageRegion(norm, eps).admits(asked, clean[row : row + 1]).all())
            for asked in list(model.asked)
        ]
        first = wrong.index(True) + 1 if any(wrong) else STANDS
        assert found.fell_at.tolist() == [first]


def test_rays_needs_no_more_than_the_class() -> None:
    clean, labels = planted()
    plain, blunt = (search("rays", model, clean, labels) for model in (Seen(), Blunt()))
    assert torch.equal(plain.fell_at, blunt.fell_at)
    assert torch.equal(plain.inputs, blunt.inputs)


def test_rays_finds_how_far_away_the_mistake_is_on_a_linear_model() -> None:
    """The nearest mistake lies along the signs of the weights, eps times their sum away."""
    clean, labels = planted()
    score = ((clean - 0.5).flatten(1) @ Seen().weights).abs()
    distance = score / Seen().weights.abs().sum()
    clear = (distance < 0.015) | (distance > 0.03)  # in between, so few queries are not enough
    found = search("rays", Seen(), clean, labels)
    assert torch.equal((found.fell_at != STANDS)[clear], (distance < 0.03)[clear])
    assert clear.sum() > 20


def test_sparse_rs_changes_pixels_completely_and_no_more_of_them() -> None:
    clean, labels = planted()
    found = search("sparse-rs L0", Seen(), clean, labels).inputs
    changed = found != clean
    assert (changed.flatten(1).sum(dim=1) == 1).all()
    assert set(found[changed].tolist()) == {0.0, 1.0}


def test_sparse_rs_spends_the_whole_length_of_an_l1_ball() -> None:
    clean, labels = planted()
    found = search("sparse-rs L1", Seen(), clean, labels).inputs
    lengths = (found - clean).abs().flatten(1).sum(dim=1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, 0.6))
    partly = ((found - clean).abs() > 1e-4) & (found > 1e-4) & (found < 1 - 1e-4)
    assert (partly.flatten(1).sum(dim=1) <= 1).all()


def test_simba_comes_near_the_closed_form_of_a_linear_model() -> None:
    """Within an L2 ball the margin falls by twice eps times the length of the weights at most."""
    eps, weights = 0.2, Seen().weights
    attack = SimBA(name="simba", queries=1000)
    threat = Threat(norm="L2", eps=eps, access="score-based", queries=1000)
    far = 0.5 + 0.4 * torch.sign(weights).view(1, 1, 8, 8)  # nowhere near another class
    found = attack.search(
        Seen(),
        far,
        torch.ones(1, dtype=torch.long),
        threat,
        ImageRegion("L2", eps),
        generator=seeded(),
    )
    moved = ((far - found.inputs).flatten(1) @ weights).item()
    assert 0.9 < moved / (eps * float(weights.norm())) <= 1.0
    assert found.fell_at.tolist() == [STANDS]
