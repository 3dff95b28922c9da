"""The search with squares: what it proposes, keeps, and spends."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hardgate.attacks import Square, square
from hardgate.region import ImageRegion
from hardgate.threat import Threat

EPS = 0.1


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Sum(nn.Module):
    """Class 0 while a weighted sum of pixels stays above ``bound``."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        signs = torch.ones(8, 8)
        signs[:, 4:] = -1
        self.signs, self.bound, self.asked = signs.expand(1, 1, 8, 8), bound, 0

    def forward(self, images: Tensor) -> Tensor:
        self.asked += len(images)
        total = (images * self.signs).flatten(1).sum(dim=1) - self.bound
        return torch.stack([total, -total], dim=1)


def run(model: Sum, clean: Tensor, *, queries: int, restarts: int = 1) -> Tensor:
    threat = Threat(norm="Linf", eps=EPS, access="score-based", queries=queries)
    attack = Square(name="square", restarts=restarts)
    labels = torch.zeros(len(clean), dtype=torch.long)
    region = ImageRegion("Linf", EPS)
    return attack.perturb(model, clean, labels, threat, region, generator=seeded())


def grey(count: int) -> Tensor:
    return torch.full((count, 1, 8, 8), 0.5)


def test_it_comes_close_to_the_best_corner_of_the_ball() -> None:
    model, clean = Sum(bound=-64 * EPS - 1), grey(30)  # nothing in the ball is misclassified
    found = run(model, clean, queries=400)
    reached = ((clean - found) * model.signs).flatten(1).sum(dim=1)
    assert (reached > 0.95 * 64 * EPS).all()
    torch.testing.assert_close((found - clean).abs(), torch.full_like(clean, EPS))


def test_more_queries_do_not_find_less() -> None:
    model, clean = Sum(bound=-64 * EPS - 1), grey(30)
    few, many = (
        ((clean - run(model, clean, queries=count)) * model.signs).sum() for count in (10, 100)
    )
    assert few < many


def test_images_that_fall_ask_no_more() -> None:
    easy, clean = Sum(bound=-0.2), grey(30)
    found = run(easy, clean, queries=400)
    assert (easy(found).argmax(dim=1) == 1).all()
    assert easy.asked < 30 * 60
    hard = Sum(bound=-64 * EPS - 1)
    run(hard, clean, queries=400, restarts=3)
    assert hard.asked == 30 * 399  # three restarts of 133


def test_no_query_repeats_what_an_image_already_is() -> None:
    seen: list[Tensor] = []

    class Watched(Sum):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images.clone())
            return super().forward(images)

    run(Watched(bound=-64 * EPS - 1), grey(1), queries=60)
    best, model = seen[0], Sum(bound=0.0)
    for image in seen[1:]:
        assert not torch.equal(image, best)
        if model(image)[0, 0] < model(best)[0, 0]:
            best = image


def test_squares_shrink_on_the_papers_schedule() -> None:
    shares = [square._share(step, 10_000) for step in (0, 10, 11, 51, 201, 501, 1001, 8001)]
    assert shares == [0.8, 0.8, 0.4, 0.2, 0.1, 0.05, 0.025, 0.8 / 2**9]
    assert square._share(11, 100) == square._share(1100, 10_000)


@pytest.mark.parametrize("shape", [(2, 3, 5, 9), (2, 1, 1, 4), (1, 2, 2, 1)])
def test_any_shape_of_image_is_searched(shape: tuple[int, ...]) -> None:
    class Mean(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            mean = images.flatten(1).mean(dim=1)
            return torch.stack([mean, -mean], dim=1)

    clean = torch.rand(shape, generator=seeded())
    threat = Threat(norm="Linf", eps=EPS, access="score-based", queries=30)
    found = Square(name="square", restarts=1).perturb(
        Mean(),
        clean,
        torch.zeros(shape[0], dtype=torch.long),
        threat,
        ImageRegion("Linf", EPS),
        generator=seeded(),
    )
    assert (found.flatten(1).mean(1) < clean.flatten(1).mean(1)).all()
