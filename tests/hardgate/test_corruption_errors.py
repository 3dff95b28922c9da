"""Errors under corruption beside the twin's: the numbers on paper, and what is absent."""

from __future__ import annotations

import numpy as np
import pytest

from hardgate import corruption_errors
from hardgate.corruption_errors import Sweep
from hardgate.errors import ContractError


def right(*percent: int) -> list[np.ndarray]:
    """So many percent of 1,000 samples are errors in each cell."""
    return [np.arange(1000) >= 10 * each for each in percent]


def sweep(clean: int, fog: tuple[int, int], blur: tuple[int, int]) -> Sweep:
    (whole,) = right(clean)
    cells = [("fog", 1), ("fog", 5), ("blur", 1), ("blur", 5)]
    return Sweep(whole, dict(zip(cells, right(*fog, *blur), strict=True)))


def test_the_ratios_are_those_of_the_paper() -> None:
    candidate, twin = sweep(4, (10, 30), (6, 14)), sweep(2, (20, 60), (4, 6))
    found = corruption_errors.measure(candidate, twin, seed=0)
    assert found["corruption/fog/ce"].value == pytest.approx(40 / 80)
    assert found["corruption/blur/ce"].value == pytest.approx(20 / 10)
    assert found["corruption/mce"].value == pytest.approx((0.5 + 2.0) / 2)
    added, twins = (10 + 30 + 6 + 14) / 4 - 4, (20 + 60 + 4 + 6) / 4 - 2  # percent
    assert found["corruption/relative_mce"].value == pytest.approx(added / twins)
    for measured in found.values():
        assert measured.lower < measured.value < measured.upper
        assert measured.samples == 1000


def test_a_model_beside_itself_has_ratios_of_one() -> None:
    same = sweep(4, (10, 30), (16, 24))
    found = corruption_errors.measure(same, same, seed=0)
    for measured in found.values():
        assert (measured.lower, measured.value, measured.upper) == pytest.approx((1, 1, 1))


def test_a_twin_without_errors_leaves_its_ratio_and_the_mean_unmeasured() -> None:
    found = corruption_errors.measure(
        sweep(4, (10, 30), (6, 14)), sweep(2, (0, 0), (14, 26)), seed=0
    )
    assert "corruption/fog/ce" not in found
    assert "corruption/mce" not in found
    assert "corruption/blur/ce" in found


def test_a_twin_that_corruption_does_not_hurt_leaves_the_relative_mean_unmeasured() -> None:
    found = corruption_errors.measure(
        sweep(4, (10, 30), (6, 14)), sweep(30, (30, 30), (30, 30)), seed=0
    )
    assert "corruption/relative_mce" not in found
    assert "corruption/mce" in found


def test_other_samples_or_other_corruptions_are_refused() -> None:
    whole = sweep(4, (10, 30), (6, 14))
    one = Sweep(whole.clean, {("fog", 1): whole.clean})
    with pytest.raises(ContractError, match="same corruptions"):
        corruption_errors.measure(whole, one, seed=0)
    with pytest.raises(ContractError, match="same samples"):
        corruption_errors.measure(one, Sweep(whole.clean[:9], dict(one.corrupted)), seed=0)
