"""Each class is held to its own probability."""

import numpy as np
import pytest

from hardgate.risks.uncertainty import calibrating

CLASSES = ("a", "b/c", "d")


def measure(labels, probabilities):
    return calibrating.measure(np.array(labels), np.array(probabilities), CLASSES, seed=0)


def test_the_error_of_a_class_is_the_mean_gap_between_probability_and_share():
    found = measure([0, 1, 1, 2], [[0.5, 0.3, 0.2]] * 4)
    assert found["uncertainty/calibration/a/ece"].value == pytest.approx(0.25)
    assert found["uncertainty/calibration/b:2f:c/ece"].value == pytest.approx(0.2)
    assert found["uncertainty/calibration/d/ece"].value == pytest.approx(0.05)
    mean = found["uncertainty/calibration/classwise_ece"]
    assert mean.value == pytest.approx(0.5 / 3)
    assert mean.lower <= mean.value <= mean.upper


def test_a_class_that_is_always_thought_too_rare_shows_and_a_calibrated_one_does_not():
    generator = np.random.default_rng(0)
    likely = generator.dirichlet([1, 1, 1], 20_000)
    labels = (generator.random(20_000)[:, None] > likely.cumsum(axis=1)).sum(axis=1)
    honest = measure(labels, likely)
    assert all(found.value < 0.02 for found in honest.values())
    shy = likely * [1, 1, 0.5]
    found = measure(labels, shy / shy.sum(axis=1, keepdims=True))
    assert found["uncertainty/calibration/d/ece"].lower > 0.08
