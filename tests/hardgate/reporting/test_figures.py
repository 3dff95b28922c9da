"""What the report says around its figures."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from hardgate import measurements, statistics
from hardgate.probes import Sequential
from hardgate.reporting import figures


def test_the_truth_lies_between_proven_and_unbroken(examples: ModuleType) -> None:
    run = examples.image_run()
    worst = run.measured[measurements.robust("worst_case", "accuracy")]
    measured = run.measured | {measurements.CERTIFIED_ACCURACY: statistics.wilson(850, 1000)}
    said = figures.bracket(replace(run, measured=measured))
    assert "Between 0.850, proven on 1,000 samples" in said
    assert f"{worst.value:.3f}" in said
    del measured[measurements.CERTIFIED_ACCURACY]
    assert figures.bracket(replace(run, measured=measured)) == ""


def test_gate_mode_says_what_it_is_sure_of(examples: ModuleType) -> None:
    run = examples.image_run()
    asked = Sequential(attack="cascade", bound=0.8, alpha=0.05)
    section = run.params.evaluation.model_copy(update={"sequential": asked})
    params = run.params.model_copy(update={"evaluation": section})
    measured = {
        measurements.reaches("cascade", 0.8): statistics.exact(1, 1000),
        measurements.error_rate("cascade"): statistics.exact(0.025, 1000),
        measurements.seen("cascade"): statistics.exact(74, 1000),
    }
    said = figures.judged(replace(run, params=params, measured=measured))
    assert "after 74 of 1,000 samples" in said
    assert "reaches 0.8, at an error rate of 0.025" in said
    assert figures.judged(run) == ""


def test_the_weakest_attacks_are_named_by_what_they_find(examples: ModuleType) -> None:
    least = {measurements.weakest_known_answer("white-box"): statistics.exact(0.9, 100)}
    said = figures.weakest(replace(examples.image_run(), measured=least))
    assert said == "The weakest attack finds 0.900 of a known optimum with gradients."
