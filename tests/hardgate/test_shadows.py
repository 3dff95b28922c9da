"""Shadows see halves: each sample is known to half of them, and both sides are split alike."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from hardgate import candidates, shadows
from hardgate.samples import Samples
from hardgate.shadows import Shadow
from tests.hardgate.risks.privacy.conftest import SENSE, SPEC, TRAINING, people

SIDES = (torch.arange(100) < 60).long()


@pytest.fixture
def trained() -> Any:
    def train(seed: int) -> tuple[Shadow, ...]:
        subject: Any = SimpleNamespace(
            spec=SPEC, region=None, device=torch.device("cpu"), seed=seed
        )
        inputs, labels = people(100, random=False)
        pool = Samples(inputs, labels, torch.arange(100))
        return shadows.train(SENSE, TRAINING, subject, pool, SIDES)

    return train


def test_each_sample_is_known_to_half_of_the_shadows_and_sides_are_even(trained: Any) -> None:
    made = trained(1)
    saw = torch.stack([shadow.saw for shadow in made])
    assert saw.shape == (4, 100)
    assert bool((saw.sum(0) == 2).all())
    assert saw[:, SIDES == 1].sum(1).tolist() == [30] * 4
    assert not saw[0].equal(saw[2])
    assert not any(shadow.model.training for shadow in made)


def test_the_same_seed_trains_the_same_and_leaves_the_global_generator_alone(trained: Any) -> None:
    before = torch.get_rng_state()
    first, again, other = trained(1), trained(1), trained(2)
    assert torch.get_rng_state().equal(before)
    weights = [candidates.state_of(made[0].model) for made in (first, again, other)]
    assert all(value.equal(weights[1][name]) for name, value in weights[0].items())
    assert any(not value.equal(weights[2][name]) for name, value in weights[0].items())
