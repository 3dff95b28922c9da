"""Shares of classes nobody has labelled: exact for a perfect model, covered for a poor one."""

from __future__ import annotations

import numpy as np
import pytest

from hardgate.risks.drift import label_shift

CONFUSION = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.2], [0.1, 0.1, 0.7]])  # said, given the class


def drawn(shares: list[float], rows: int, generator: np.random.Generator):
    labels = generator.choice(3, rows, p=shares)
    said = np.array([generator.choice(3, p=CONFUSION[:, label]) for label in labels])
    return said, labels


def test_a_model_without_errors_counts_exactly() -> None:
    labels = np.repeat([0, 1], [30, 70])
    found = label_shift.estimate(labels, labels, np.repeat([0, 1], [60, 40]), classes=2, seed=1)
    assert found is not None
    assert found.new == pytest.approx([0.6, 0.4])
    assert found.moved().value == pytest.approx(0.3)


def test_a_poor_model_finds_the_shares_that_its_own_counts_hide() -> None:
    generator = np.random.default_rng(1)
    true = [0.1, 0.2, 0.7]
    missed = 0
    for seed in range(40):
        said, labels = drawn([0.5, 0.3, 0.2], 500, generator)
        new, _ = drawn(true, 500, generator)
        found = label_shift.estimate(said, labels, new, classes=3, seed=seed)
        assert found is not None
        share = found.shares()[2]
        missed += not share.lower <= true[2] <= share.upper
        assert found.moved().lower > 0.2
        assert share.value > np.mean(new == 2) + 0.05  # what the model says is too tame
    assert missed <= 5


def test_classes_that_did_not_move_are_not_said_to() -> None:
    generator = np.random.default_rng(2)
    alarms = 0
    for seed in range(60):
        said, labels = drawn([0.5, 0.3, 0.2], 400, generator)
        new, _ = drawn([0.5, 0.3, 0.2], 400, generator)
        found = label_shift.estimate(said, labels, new, classes=3, seed=seed)
        assert found is not None
        alarms += found.moved().lower > 0
    assert alarms <= 3


def test_a_model_that_cannot_tell_a_class_measures_no_shares() -> None:
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, 200)
    guessed = generator.integers(0, 2, 200)
    constant = np.zeros(200, dtype=np.int64)
    for said in (guessed, constant):
        assert label_shift.estimate(said, labels, said, classes=2, seed=1) is None


def test_a_class_without_an_old_row_measures_no_shares() -> None:
    labels = np.zeros(50, dtype=np.int64)
    assert label_shift.estimate(labels, labels, labels, classes=2, seed=1) is None
