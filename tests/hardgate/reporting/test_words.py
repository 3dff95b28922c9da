from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardgate import measurements, statistics
from hardgate.defenses import PGD
from hardgate.gates import CalibrationGate
from hardgate.records import Measurement
from hardgate.reporting import words


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.8764, "0.876"),
        (0, "0.000"),
        (1, "1.000"),
        (0.0004, "0.0004"),
        (12.44, "12.4"),
        (30_000, "30,000"),
        (2.3e-6, "2.3 × 10⁻⁶"),
        (-0.25, "-0.250"),
    ],
)
def test_a_number_has_three_decimals_unless_that_says_nothing(value: float, said: str) -> None:
    assert words.number(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0"), (-80_000, "−80,000"), (0.125, "0.125"), (1e6, "1,000,000")]
)
def test_an_amount_of_the_data_is_said_in_its_own_unit(value: float, said: str) -> None:
    assert words.amount(value) == said


@pytest.mark.parametrize(
    ("end", "bound", "digits"),
    [(0.81, 0.8, 3), (0.7997, 0.8, 4), (0.79996, 0.8, 5), (0.8, 0.8, 3), (0.79999999, 0.8, 6)],
)
def test_decimals_show_on_which_side_of_the_bound_an_end_lies(
    end: float, bound: float, digits: int
) -> None:
    assert words.decimals(end, bound) == digits


def test_a_count_is_whole_and_exact() -> None:
    found = statistics.exact(58, 30_000)
    assert words.value(found) == "58"
    assert words.interval(found) == "exact"


def test_a_rate_is_said_with_interval_and_samples() -> None:
    found = Measurement(value=0.5, lower=0.4, upper=0.6, samples=1, interval="wilson")
    assert words.whole(found) == "0.500 (0.400 to 0.600, 1 sample)"


def test_a_difference_has_its_sign() -> None:
    low, high = statistics.exact(0.25, 1), statistics.exact(0.75, 1)
    assert words.difference(low, high) == "−0.500"
    assert words.difference(high, low) == "+0.500"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.42, "0.4 s"), (41.3, "41 s"), (725, "12 min 5 s"), (11_040, "3 h 4 min")],
)
def test_a_duration_is_said_as_people_do(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


def test_a_moment_is_said_in_utc() -> None:
    assert words.moment("2026-06-01T14:30:00+02:00") == "2026-06-01 12:30 UTC"


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("robust_auc/worst_case", "Robust AUC, worst case"),
        ("clean_quality/auc", "Clean quality, AUC"),
        ("fairness/SEX/clean/demographic_parity", "Fairness, SEX, clean, demographic parity"),
        ("masked_gradients", "Masked gradients"),
    ],
)
def test_a_gate_is_named_as_its_paragraph_is(label: str, said: str) -> None:
    assert words.gate(label) == said


@given(st.text(min_size=1).filter(lambda text: ":" not in text))
def test_a_word_from_outside_is_spelled_back(text: str) -> None:
    assert words.unword(measurements.word(text)) == text


def test_a_code_that_is_no_sign_stays_as_it_is() -> None:
    assert words.unword(":ffffffff:") == ":ffffffff:"


def test_what_a_gate_asks_is_said_with_its_own_numbers() -> None:
    gate = CalibrationGate(kind="calibration", bound=0.15, min_samples=1000)
    assert words.about(gate).endswith("at most 0.15.")
    assert "5 ascents" in words.about(PGD(recipe="pgd", step_size=0.1, steps=5))


def test_things_are_counted_in_plain_english() -> None:
    assert words.count(1, "query") == "1 query"
    assert words.count(500, "query") == "500 queries"
    assert words.count(2, "gate") == "2 gates"
