"""Votes under noise, on models whose smoothed radius is known on paper."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, norm
from torch import Tensor, nn

from hardgate import region
from hardgate.certification.smoothing import ABSTAINS, Noise, Smoothed, at_least, smooth
from hardgate.errors import ContractError
from hardgate.records import Column, ColumnType, ImageInput, TableInput
from hardgate.region import Region
from hardgate.threat import Freedom, Threat

SPEC = ImageInput(kind="images", shape=(1, 1, 2), classes=("a", "b"), mean=(0,), scale=(1,))
THREAT = Threat(norm="L2", eps=0.1, access="score-based", queries=1)
NOISE = Noise(sigma=0.5, selection=50, draws=4000, alpha=0.001)


def linear() -> nn.Module:
    """Class 1 where 3 x0 + 4 x1 > 3.5: the distance to the plane is (3 x0 + 4 x1 - 3.5) / 5."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    model[1].weight.data = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    model[1].bias.data = torch.tensor([0.0, -3.5])
    return model


def asked(
    images: Tensor, *, noise: Noise = NOISE, model: nn.Module | None = None, batch: int = 999
) -> Smoothed:
    around: Region = region.build(THREAT, SPEC)
    generator = torch.Generator().manual_seed(0)
    return smooth(model or linear(), noise, around, images, generator=generator, batch_size=batch)


@given(draws=st.integers(1, 5000), share=st.floats(0, 1), alpha=st.floats(1e-4, 0.4))
def test_the_bound_is_clopper_and_pearsons(draws: int, share: float, alpha: float) -> None:
    successes = round(share * draws)
    expected = beta.ppf(alpha, successes, draws - successes + 1) if successes else 0.0
    assert at_least(successes, draws, alpha=alpha) == pytest.approx(float(expected), rel=1e-6)


def test_the_bound_is_wrong_as_seldom_as_it_says() -> None:
    counts = torch.distributions.Binomial(40, torch.tensor(0.7))
    torch.manual_seed(0)
    bounds = [at_least(int(k), 40, alpha=0.1) for k in counts.sample((4000,))]
    wrong = sum(bound > 0.7 for bound in bounds) / 4000
    assert 0.03 < wrong <= 0.11


@pytest.mark.parametrize(("successes", "draws"), [(-1, 5), (6, 5), (0, 0)])
def test_a_share_that_is_none_is_refused(successes: int, draws: int) -> None:
    with pytest.raises(ContractError, match="not a share"):
        at_least(successes, draws, alpha=0.1)


def test_radii_approach_the_distance_to_a_plane_from_below() -> None:
    images = torch.tensor([[0.9, 0.7], [0.2, 0.3], [0.6, 0.6]]).view(3, 1, 1, 2)
    found = asked(images)
    distances = ((images.flatten(1) @ torch.tensor([3.0, 4.0]) - 3.5) / 5).abs()
    assert found.predictions.tolist() == [1, 0, 1]
    assert (found.radii <= distances.numpy()).all()
    assert (found.radii >= distances.numpy() - 0.06).all()


def test_all_votes_alike_give_the_largest_radius_there_is() -> None:
    sure = Noise(sigma=0.01, selection=5, draws=100, alpha=0.001)
    found = asked(torch.ones(1, 1, 1, 2), noise=sure)
    assert found.radii[0] == pytest.approx(0.01 * norm.ppf(0.001 ** (1 / 100)))


def test_on_the_plane_it_abstains() -> None:
    found = asked(torch.full((1, 1, 1, 2), 0.5))
    assert found.predictions.tolist() == [ABSTAINS]
    assert found.radii.tolist() == [0.0]


def test_all_draws_are_counted_whatever_the_batch() -> None:
    class Count(nn.Module):
        seen = 0

        def forward(self, inputs: Tensor) -> Tensor:
            self.seen += len(inputs)
            return torch.tensor([[0.0, 1.0]]).expand(len(inputs), 2)

    for batch in (7, 50, 10_000):
        model = Count()
        found = asked(torch.zeros(2, 1, 1, 2), model=model, batch=batch)
        assert model.seen == 2 * 4050
        assert found.radii[0] == pytest.approx(0.5 * norm.ppf(0.001 ** (1 / 4000)))


def test_only_movable_columns_get_noise_and_gaps_stay() -> None:
    numbers = {"type": ColumnType.REAL, "mean": 0.0, "low": -900.0, "high": 900.0}
    table = TableInput(
        kind="table",
        columns=(
            Column(name="fixed", scale=1.0, **numbers),
            Column(name="free", scale=50.0, **numbers),
            Column(name="gap", scale=1.0, **numbers),
        ),
        classes=("a", "b"),
    )
    free = {"free": Freedom(), "gap": Freedom()}
    around = region.build(THREAT.model_copy(update={"columns": free}), table)
    seen: list[Tensor] = []

    class Watch(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            seen.append(rows)
            return torch.zeros(len(rows), 2)

    rows = torch.tensor([[3.0, 5.0, torch.nan]])
    smooth(Watch(), NOISE, around, rows, generator=torch.Generator(), batch_size=5000)
    (_, votes) = seen
    assert (votes[:, 0] == 3).all()
    assert votes[:, 1].std().item() == pytest.approx(25, rel=0.05)
    assert votes[:, 2].isnan().all()
