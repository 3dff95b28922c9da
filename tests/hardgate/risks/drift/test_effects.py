"""The size of a move: exact on small columns, covering the truth, and blind to sample size."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hardgate.errors import ContractError
from hardgate.risks.drift import effects

PRACTICAL = 0.1


def test_the_distance_of_numbers_is_the_largest_gap_of_their_distributions() -> None:
    old, new = np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 4.0, 5.0, 6.0])
    assert effects.of_numbers(old, new).size == 0.5
    assert effects.of_numbers(old, old).size == 0


def test_cells_that_went_missing_have_moved() -> None:
    old, new = np.arange(10.0), np.where(np.arange(10) < 3, np.nan, np.arange(10.0))
    assert effects.of_numbers(old, new).size == pytest.approx(0.3)
    assert effects.of_numbers(np.full(4, np.nan), np.arange(4.0)).size == 1


def test_the_distance_of_categories_is_the_share_that_changed_place() -> None:
    old, new = np.array([0, 0, 0, 1, 2]), np.array([0, 1, 1, 1, -1])
    found = effects.of_categories(old, new)
    assert found.size == pytest.approx(0.6)
    assert found.log_events == pytest.approx(4 * math.log(2))  # sets of four values


def test_a_column_without_rows_is_refused() -> None:
    with pytest.raises(ContractError, match="rows on both sides"):
        effects.of_numbers(np.array([]), np.array([1.0]))


def drawn(rows: int, shift: float, seed: int) -> effects.Effect:
    generator = np.random.default_rng(seed)
    return effects.of_numbers(generator.normal(size=rows), generator.normal(shift, size=rows))


def test_the_interval_covers_the_true_distance() -> None:
    true = math.erf(0.3 / 2 / math.sqrt(2))  # of two normals 0.3 deviations apart
    seen = [drawn(300, 0.3, seed).measured() for seed in range(300)]
    missed = sum(not one.lower <= true <= one.upper for one in seen)
    assert missed <= 15  # one in twenty; the bound is wider than it must be


def test_categories_of_nothing_but_noise_stay_in_their_interval() -> None:
    generator = np.random.default_rng(1)
    shares = generator.dirichlet(np.ones(8))
    for _ in range(200):
        old, new = (generator.choice(8, 300, p=shares) for _ in range(2))
        assert effects.of_categories(old, new).measured().lower == 0


def test_a_trifle_raises_no_alarm_however_many_rows_show_it() -> None:
    """The same shift of a twentieth of a deviation, in a thousand rows and in a million."""
    few, many = drawn(1_000, 0.05, 3), drawn(1_000_000, 0.05, 3)
    assert few.measured().lower == 0
    assert many.measured().lower > 0.015  # not nothing, beyond doubt
    for seen in (few, many):
        assert effects.drifted({"income": seen}, PRACTICAL) == []


def test_a_large_shift_is_found_in_few_rows_already() -> None:
    assert effects.drifted({"income": drawn(200, 1.0, 3)}, PRACTICAL) == ["income"]


def test_few_rows_say_themselves_what_they_could_not_have_shown() -> None:
    few, many = ({"a": drawn(rows, 0.0, 1)} for rows in (50, 50_000))
    assert effects.detectable(few, PRACTICAL) > 0.4
    assert effects.detectable(many, PRACTICAL) < 0.12


def test_what_is_called_detectable_is_detected() -> None:
    """Uniform columns, of which a share moved beyond the end."""
    generator = np.random.default_rng(5)
    rows, columns = 400, 10
    still = {str(at): effects.of_numbers(*generator.uniform(size=(2, rows))) for at in range(9)}
    least = effects.detectable({**still, "moved": still["0"]}, PRACTICAL)
    found = 0
    for _ in range(100):
        old, new = generator.uniform(size=(2, rows))
        moved = effects.of_numbers(old, np.where(generator.uniform(size=rows) < least, 2.0, new))
        found += effects.drifted(still | {"moved": moved}, PRACTICAL) == ["moved"]
    assert len(still) + 1 == columns
    assert found >= 75


def test_many_columns_of_noise_raise_an_alarm_in_at_most_one_run_of_twenty() -> None:
    """Even where any difference at all would count."""
    generator = np.random.default_rng(2)
    alarms = 0
    for _ in range(100):
        old, new = generator.normal(size=(2, 40, 100))
        found = {str(at): effects.of_numbers(old[at], new[at]) for at in range(40)}
        alarms += bool(effects.drifted(found, 1e-9))
    assert alarms <= 5


def test_the_largest_effect_has_the_interval_of_all_columns_together() -> None:
    seen = {"a": drawn(500, 0.5, 1), "b": drawn(500, 0.0, 2)}
    largest = effects.largest(seen)
    assert largest.value == seen["a"].size
    assert largest.lower < seen["a"].measured().lower < seen["a"].measured().upper < largest.upper
