from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hardgate import quality, statistics
from hardgate.evidence import outcomes, recomputation

LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0])
EVERY = np.ones(8, bool)


def said(scores: list[float], known: np.ndarray = EVERY) -> outcomes.Answers:
    """Answers of a binary model that gives class 1 these probabilities."""
    one = np.array(scores, np.float32)
    return outcomes.Answers(
        known=known,
        inputs=np.zeros((8, 32), np.uint8),
        predictions=np.where(known, one > 0.5, 0).astype(np.int64),
        probabilities=np.where(known, np.where(LABELS == 1, one, 1 - one), 0).astype(np.float32),
    )


CLEAN = [0.9, 0.8, 0.7, 0.4, 0.1, 0.2, 0.25, 0.35]  # sample 3 is wrong
STRONG = [0.4, 0.6, 0.7, 0.3, 0.65, 0.2, 0.25, 0.35]  # flips samples 0 and 4
WEAK = [0.9, 0.3, 0.7, 0.6, 0.1, 0.2, 0.25, 0.35]  # flips sample 1, puts sample 3 right
KNOWN = outcomes.Outcomes(
    index=np.arange(8),
    rows=np.arange(8),
    labels=LABELS,
    clean=said(CLEAN),
    attacks={"strong": said(STRONG), "weak": said(WEAK)},
)


def test_rates_are_those_counted_by_hand() -> None:
    found = recomputation.recompute(KNOWN, classes=2)
    assert found["clean/accuracy"] == statistics.wilson(7, 8)
    assert found["robust/strong/accuracy"] == statistics.wilson(5, 8)
    assert found["attack_success/strong"] == statistics.wilson(2, 7)
    assert found["robust/worst_case/accuracy"] == statistics.wilson(4, 8)


def test_an_attack_cannot_make_a_wrong_answer_right() -> None:
    found = recomputation.recompute(KNOWN, classes=2)
    assert found["robust/weak/accuracy"] == statistics.wilson(6, 8)


def test_the_clean_input_is_among_the_worst_cases() -> None:
    flattered = replace(KNOWN, clean=said(STRONG), attacks={"weak": said([0.9] * 4 + [0.1] * 4)})
    found = recomputation.recompute(flattered, classes=2)
    assert found["robust/weak/auc"].value == 1
    assert found["robust/worst_case/auc"].value == found["clean/auc"].value < 1


def test_only_attacked_samples_count() -> None:
    known = np.array([True, True, False, False, True, True, False, False])
    part = replace(KNOWN, attacks={"strong": KNOWN.attacks["strong"], "weak": said(WEAK, known)})
    found = recomputation.recompute(part, classes=2)
    assert found["robust/weak/accuracy"] == statistics.wilson(3, 4)
    assert found["robust/strong/accuracy"].samples == 8
    assert found["robust/worst_case/accuracy"] == statistics.wilson(1, 4)


def test_aucs_are_those_of_scikit_learn() -> None:
    found = recomputation.recompute(KNOWN, classes=2)
    assert found["clean/auc"].value == pytest.approx(roc_auc_score(LABELS, CLEAN))
    assert found["robust/strong/auc"].value == pytest.approx(roc_auc_score(LABELS, STRONG))
    true = np.minimum.reduce(
        [np.where(LABELS == 1, s, np.subtract(1, s)) for s in (CLEAN, STRONG, WEAK)]
    )
    worst = np.where(LABELS == 1, true, 1 - true)
    assert found["robust/worst_case/auc"].value == pytest.approx(roc_auc_score(LABELS, worst))


def test_an_auc_has_the_interval_that_quality_gives_it() -> None:
    found = recomputation.recompute(KNOWN, classes=2)
    one = np.array(CLEAN, np.float32).astype(float)
    expected = quality.auc(LABELS, np.stack([1 - one, one], axis=1))
    for name in ("value", "lower", "upper", "samples"):
        assert getattr(found["clean/auc"], name) == pytest.approx(getattr(expected, name))


def test_an_auc_of_one_class_is_left_out() -> None:
    part = replace(KNOWN, attacks={"strong": said(STRONG, LABELS == 1)})
    found = recomputation.recompute(part, classes=2)
    assert "robust/strong/auc" not in found
    assert "robust/strong/accuracy" in found


def test_more_than_two_classes_have_no_auc_here() -> None:
    found = recomputation.recompute(KNOWN, classes=3)
    assert not [name for name in found if name.endswith("auc")]


def test_attacks_that_share_no_sample_have_no_worst_case() -> None:
    even = np.arange(8) % 2 == 0
    part = replace(KNOWN, attacks={"a": said(STRONG, even), "b": said(WEAK, ~even)})
    found = recomputation.recompute(part, classes=3)
    assert "robust/worst_case/accuracy" not in found


def test_what_is_recomputed_can_be_and_nothing_else_is_said_to_be() -> None:
    for classes in (2, 3):
        for name in recomputation.recompute(KNOWN, classes=classes):
            assert recomputation.can_recompute(name, classes=classes)
    for name in ("clean/ece", "corruption/mean/accuracy", "curve/2/accuracy", "champion/accuracy"):
        assert not recomputation.can_recompute(name, classes=2)
    assert not recomputation.can_recompute("clean/auc", classes=3)
