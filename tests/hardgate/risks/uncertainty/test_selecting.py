"""Selective accuracy is the paper's, ties count for their share, and intervals hold the truth."""

import numpy as np
import pytest

from hardgate.risks.uncertainty import selecting


def measure(correct, confidence, coverages=(0.5,), seed=0):
    return selecting.measure(np.array(correct), np.array(confidence), coverages, seed=seed)


def test_the_surest_are_answered_first():
    found = measure([True, True, False, False], [0.9, 0.8, 0.7, 0.6], (0.25, 0.5, 0.75))
    assert found["uncertainty/selective/0.25/accuracy"].value == 1
    assert found["uncertainty/selective/0.5/accuracy"].value == 1
    assert found["uncertainty/selective/0.5/accuracy"].samples == 2
    assert found["uncertainty/selective/0.75/accuracy"].value == pytest.approx(2 / 3)
    assert found["uncertainty/selective/aurc"].value == pytest.approx((0 + 0 + 1 / 3 + 2 / 4) / 4)


def test_the_area_is_the_mean_risk_over_all_coverages():
    generator = np.random.default_rng(1)
    confidence = generator.random(500)
    correct = generator.random(500) < confidence
    in_order = ~correct[np.argsort(-confidence)]
    area = measure(correct, confidence)["uncertainty/selective/aurc"]
    assert area.value == pytest.approx((np.cumsum(in_order) / np.arange(1, 501)).mean())
    assert area.lower < area.value < area.upper


def test_answers_of_the_same_confidence_count_for_their_share():
    found = measure([True] * 6 + [False] * 2, [1.0] * 8)
    assert found["uncertainty/selective/0.5/accuracy"].value == pytest.approx(0.75)
    assert found["uncertainty/selective/aurc"].value == pytest.approx(0.25)
    half = measure([True, False, True, False], [0.9, 0.5, 0.5, 0.5], (0.5,))
    assert half["uncertainty/selective/0.5/accuracy"].value == pytest.approx((1 + 1 / 3) / 2)


def test_an_interval_without_errors_is_as_wide_as_so_few_answers_allow():
    found = measure([True] * 100, np.linspace(0.5, 1, 100), (0.8,))
    accuracy, area = (
        found["uncertainty/selective/0.8/accuracy"],
        found["uncertainty/selective/aurc"],
    )
    assert (accuracy.value, accuracy.samples) == (1, 80)
    assert accuracy.lower == pytest.approx(1 - 0.0458, abs=1e-3)  # Wilson's of 80 of 80
    assert area.value == 0
    assert area.upper > 0.03


def test_the_interval_holds_the_truth_as_often_as_it_says():
    generator, held = np.random.default_rng(2), 0
    for _ in range(100):
        confidence = generator.random(300)
        correct = generator.random(300) < confidence
        found = measure(correct, confidence)["uncertainty/selective/0.5/accuracy"]
        held += found.lower <= 0.75 <= found.upper  # of confidences above a half, the mean
    assert held >= 90
