from __future__ import annotations

import pytest

from hardgate import monitors
from hardgate.monitors import Epoch, Evaluated, Monitors

LIMITS = Monitors(catastrophic=0.2, robust=0.05, evaluations=2)
Scores = tuple[float | None, float | None] | None


def history(*scores: Scores, eps: float = 1.0, clean: float = 0.9) -> list[Epoch]:
    """Plant a history of (robust, one-step) scores; None is an epoch not evaluated."""
    return [
        Epoch(
            epoch=number,
            loss=1.0,
            rate=0.1,
            eps=eps,
            seconds=1.0,
            evaluated=None
            if pair is None
            else Evaluated(clean=clean, robust=pair[0], one_step=pair[1]),
        )
        for number, pair in enumerate(scores, start=1)
    ]


def test_rising_robustness_goes_on() -> None:
    assert monitors.verdict(history((0.3, 0.4), (0.5, 0.6)), LIMITS, patience=1) is None


def test_a_collapse_with_one_step_robustness_kept_is_catastrophic() -> None:
    planted = history((0.4, 0.6), (0.5, 0.7), (0.1, 0.99))
    assert monitors.verdict(planted, LIMITS, patience=9) == "catastrophic overfitting"
    best = monitors.best(planted)
    assert best is not None
    assert best.epoch == 2


def test_a_collapse_of_both_is_not_catastrophic_overfitting() -> None:
    planted = history((0.4, 0.6), (0.5, 0.7), (0.1, 0.2))
    assert monitors.verdict(planted, LIMITS, patience=9) is None


def test_a_fall_of_just_the_margin_is_not_yet_catastrophic() -> None:
    planted = history((0.5, 0.7), (0.25, 0.9))
    limits = LIMITS.model_copy(update={"catastrophic": 0.25})
    assert monitors.verdict(planted, limits, patience=9) is None


def test_a_lasting_fall_is_robust_overfitting() -> None:
    planted = history((0.5, 0.6), (0.44, 0.5), (0.43, 0.5))
    assert monitors.verdict(planted[:2], LIMITS, patience=9) is None
    assert monitors.verdict(planted, LIMITS, patience=9) == "robust overfitting"


def test_a_fall_that_does_not_last_is_not_robust_overfitting() -> None:
    planted = history((0.5, 0.6), (0.44, 0.5), (0.47, 0.5), (0.44, 0.5))
    assert monitors.verdict(planted, LIMITS, patience=9) is None


def test_no_new_best_for_the_patience_stops_early() -> None:
    planted = history((0.5, 0.6), (0.49, 0.6), (0.5, 0.6))
    assert monitors.verdict(planted, LIMITS, patience=3) is None
    assert monitors.verdict(planted, LIMITS, patience=2) == "early stopping"


def test_epochs_not_evaluated_do_not_count() -> None:
    planted = history((0.5, 0.6), None, (0.49, 0.6), None)
    assert monitors.verdict(planted, LIMITS, patience=1) is None
    assert monitors.verdict(planted[:3], LIMITS, patience=1) == "early stopping"
    assert monitors.verdict(planted[:3], LIMITS, patience=2) is None


def test_a_radius_still_growing_is_not_judged() -> None:
    warm = history((0.5, 0.6), (0.1, 0.9), eps=0.5)
    assert monitors.verdict(warm, LIMITS, patience=1) is None


def test_a_standard_recipe_is_judged_by_clean_scores() -> None:
    planted = history((None, None), clean=0.9) + history((None, None), clean=0.8)
    planted[1] = planted[1].model_copy(update={"epoch": 2})
    assert monitors.verdict(planted, LIMITS, patience=1) == "early stopping"
    best = monitors.best(planted)
    assert best is not None
    assert best.epoch == 1


@pytest.mark.parametrize("planted", [history(), history(None, None)], ids=["empty", "unseen"])
def test_nothing_seen_is_nothing_judged(planted: list[Epoch]) -> None:
    assert monitors.best(planted) is None
    assert monitors.verdict(planted, LIMITS, patience=1) is None
