"""A classifier of new rows: blind where there is nothing, and not where columns alone are."""

from __future__ import annotations

import numpy as np

from hardgate.risks.drift import effects, two_sample


def told(old: np.ndarray, new: np.ndarray, *, seed: int = 0) -> tuple[float, float, float]:
    found = two_sample.told_apart(old, new, rounds=10, seed=seed)
    return found.lower, found.value, found.upper


def test_rows_of_one_kind_are_told_apart_in_at_most_one_run_of_twenty() -> None:
    alarms = 0
    for seed in range(60):
        rows = np.random.default_rng(seed).normal(size=(400, 5))
        alarms += told(rows[:300], rows[300:], seed=seed)[0] > 0.5
    assert alarms <= 3


def test_a_correlation_that_turned_round_is_seen_where_columns_show_nothing() -> None:
    generator = np.random.default_rng(1)
    old = generator.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 600)
    new = generator.multivariate_normal([0, 0], [[1, -0.9], [-0.9, 1]], 600)
    columns = {str(at): effects.of_numbers(old[:, at], new[:, at]) for at in range(2)}
    assert effects.drifted(columns, 0.1) == []
    assert told(old, new)[0] > 0.8


def test_missing_cells_are_seen_and_the_seed_gives_the_same() -> None:
    generator = np.random.default_rng(2)
    old, new = generator.normal(size=(2, 400, 3))
    new[generator.uniform(size=400) < 0.5, 0] = np.nan
    assert told(old, new)[0] > 0.65
    assert told(old, new, seed=4) == told(old, new, seed=4)


def test_a_handful_of_rows_is_judged_without_falling_over() -> None:
    lower, value, upper = told(np.arange(20.0)[:, None], np.arange(4.0)[:, None])
    assert lower <= value <= upper
    assert upper - lower > 0.3
