"""Quality is compared with definitions, with scikit-learn, and with what is known on paper."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, log_loss, roc_auc_score

from hardgate import quality
from hardgate.errors import ContractError


def scored(scores):
    """Binary probabilities whose second column ranks like ``scores``."""
    high = 1 / (1 + np.exp(-np.asarray(scores, float)))
    return np.stack([1 - high, high], axis=1)


def credit_like(samples=6000, shift=1.0, seed=0):
    generator = np.random.default_rng(seed)
    labels = (generator.random(samples) < 0.22).astype(np.int64)
    return labels, scored(generator.normal(size=samples) + shift * labels)


def many_classes(samples=900, classes=4, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, samples)
    logits = generator.normal(size=(samples, classes)) + 1.5 * np.eye(classes)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_auc_is_the_share_of_pairs_in_order():
    labels = np.array([0, 0, 1, 1, 1])
    measured = quality.auc(labels, scored([0.0, 2.0, 1.0, 2.0, 3.0]))
    # pairs: 1>0, 1<2, 2>0, 2=2 (half), 3>0, 3>2
    assert measured.value == pytest.approx(4.5 / 6)
    assert measured.interval == "delong"


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=8, max_size=40).filter(
        lambda rows: 2 <= sum(label for label, _ in rows) <= len(rows) - 2
    )
)
@settings(max_examples=50, deadline=None)
def test_auc_agrees_with_scikit_learn_on_ties(rows):
    labels, scores = np.array(rows).T
    measured = quality.auc(labels, scored(scores))
    assert measured.value == pytest.approx(roc_auc_score(labels, scores))
    assert 0 <= measured.lower <= measured.value <= measured.upper <= 1


def test_auc_of_several_classes_is_the_mean_of_one_against_the_rest():
    labels, probabilities = many_classes()
    expected = roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert quality.auc(labels, probabilities).value == pytest.approx(expected)


def test_delong_matches_the_variance_written_out_pair_by_pair():
    labels, probabilities = credit_like(samples=80)
    scores = probabilities[:, 1]
    wins = (scores[labels == 1][:, None] > scores[labels == 0][None, :]).astype(float)
    m, n = wins.shape
    expected = wins.mean(axis=1).var(ddof=1) / m + wins.mean(axis=0).var(ddof=1) / n
    area, parts = quality.delong(labels == 1, scores)
    assert area == pytest.approx(wins.mean())
    assert np.sum(parts**2) == pytest.approx(expected)


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.5])
def test_the_interval_covers_the_true_area_nineteen_times_in_twenty(shift):
    truth = norm.cdf(shift / 2**0.5)
    measured = [
        quality.auc(*credit_like(samples=250, shift=shift, seed=seed)) for seed in range(300)
    ]
    covered = np.mean([m.lower <= truth <= m.upper for m in measured])
    assert covered >= 0.93
    assert np.mean([m.upper - m.lower for m in measured]) < 0.18  # and is not bought by width


def test_perfect_separation_of_few_samples_does_not_look_certain():
    labels = np.array([0] * 74 + [1] * 40)
    perfect = quality.auc(labels, scored(labels * 2.0 - 1))
    assert perfect.value == perfect.upper == 1
    assert 0.9 < perfect.lower < 0.98
    swapped = scored(np.where(np.arange(114) == 73, 0.5, np.where(np.arange(114) == 74, 0.4, 0)))
    almost = quality.auc(labels, scored(np.where(labels, 1.0, 0.0)) + 1e-4 * swapped)
    assert almost.lower <= perfect.lower + 1e-6


def test_more_samples_narrow_the_interval():
    few, many = (quality.auc(*credit_like(samples=n)) for n in (500, 20_000))
    assert many.upper - many.lower < (few.upper - few.lower) / 4


def test_auc_of_one_class_cannot_be_asked_and_is_absent_from_the_whole():
    labels, probabilities = credit_like(samples=50)
    with pytest.raises(ContractError, match="two samples of each side"):
        quality.auc(np.zeros_like(labels), probabilities)
    measured = quality.measure(np.zeros_like(labels), probabilities, seed=0)
    assert "auc" not in measured
    assert "accuracy" in measured


def test_values_agree_with_scikit_learn():
    labels, probabilities = many_classes()
    measured = quality.measure(labels, probabilities, seed=0)
    predicted = probabilities.argmax(axis=1)
    assert measured["accuracy"].value == pytest.approx(np.mean(predicted == labels))
    assert measured["log_loss"].value == pytest.approx(log_loss(labels, probabilities))
    assert measured["balanced_accuracy"].value == pytest.approx(
        balanced_accuracy_score(labels, predicted)
    )
    labels, probabilities = credit_like()
    measured = quality.measure(labels, probabilities, seed=0)
    assert measured["brier"].value == pytest.approx(
        2 * brier_score_loss(labels, probabilities[:, 1])
    )


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    probabilities = np.tile([0.8, 0.2], (100, 1))
    labels = np.array([0] * 55 + [1] * 45)
    measured = quality.measure(labels, probabilities, seed=0)["ece"]
    assert measured.value == pytest.approx(0.25)
    assert measured.lower == pytest.approx(0.25 - 1.96 * 0.05, abs=0.02)
    assert measured.upper == pytest.approx(0.25 + 1.96 * 0.05, abs=0.02)


def test_a_confident_mistake_is_a_large_but_finite_loss():
    probabilities = np.tile([1.0, 0.0], (50, 1))
    labels = np.array([0] * 49 + [1])
    assert 1 < quality.measure(labels, probabilities, seed=0)["log_loss"].value < 2


@pytest.mark.parametrize(
    ("labels", "probabilities", "found"),
    [
        ([0, 1], [[0.5, 0.5]], "do not fit"),
        ([], np.zeros((0, 2)), "do not fit"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], "2 classes"),
        ([0, -1], [[0.5, 0.5], [0.5, 0.5]], "2 classes"),
        ([0, 1], [[0.5, 0.5], [np.nan, 0.5]], "not a distribution"),
        ([0, 1], [[0.5, 0.5], [1.5, -0.5]], "not a distribution"),
        ([0, 1], [[0.5, 0.5], [3.0, 1.0]], "not a distribution"),
    ],
)
def test_what_is_no_prediction_is_refused(labels, probabilities, found):
    with pytest.raises(ContractError, match=found):
        quality.measure(np.array(labels, np.int64), np.array(probabilities), seed=0)


def test_corruption_is_averaged_over_cells_and_resampled_by_sample():
    clean = np.array([True] * 90 + [False] * 10)
    half = np.array([True] * 50 + [False] * 50)
    measured = quality.corruption(
        clean, {("fog", 1): half, ("fog", 5): half, ("scale", 1): clean}, seed=0
    )
    assert measured["corruption/fog/5/accuracy"].value == pytest.approx(0.5)
    mean = measured["corruption/mean/accuracy"]
    assert mean.value == pytest.approx((0.5 + 0.5 + 0.9) / 3)
    assert mean.samples == 100  # not 300: a sample's cells are not independent
    ratio = measured["corruption/error_ratio"]
    assert ratio.value == pytest.approx((1 - mean.value) / 0.1)
    assert ratio.lower < ratio.value < ratio.upper


def test_an_error_ratio_without_a_clean_error_is_absent():
    clean = np.ones(40, bool)
    measured = quality.corruption(clean, {("fog", 1): clean}, seed=0)
    assert "corruption/error_ratio" not in measured
    assert "corruption/mean/accuracy" in measured


def test_corruption_of_other_samples_or_of_none_is_refused():
    with pytest.raises(ContractError, match="same samples"):
        quality.corruption(np.ones(4, bool), {("fog", 1): np.ones(5, bool)}, seed=0)
    with pytest.raises(ContractError, match="at least once"):
        quality.corruption(np.ones(4, bool), {}, seed=0)


def test_intervals_of_six_thousand_rows_take_less_than_half_a_second_of_computing():
    labels, probabilities = credit_like()
    before = time.process_time()
    quality.measure(labels, probabilities, seed=0)
    assert time.process_time() - before < 0.5
