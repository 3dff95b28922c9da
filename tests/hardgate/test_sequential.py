from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hardgate import sequential, statistics
from hardgate.errors import ContractError
from hardgate.sequential import Answer


def run(successes: int, samples: int, *, bound: float, alpha: float, seed: int) -> Answer:
    outcomes = np.arange(samples) < successes
    np.random.default_rng(seed).shuffle(outcomes)
    test = sequential.Test(required=sequential.needed(bound, samples), samples=samples, alpha=alpha)
    for outcome in outcomes:
        answer = test.see(bool(outcome))
        if answer.passes is not None:
            return answer
    return test.answer()


def report(successes: int, samples: int, bound: float) -> bool:
    return statistics.wilson(successes, samples).lower >= bound


@given(st.floats(0, 1), st.integers(1, 500))
def test_the_count_needed_is_the_first_that_report_mode_passes(bound: float, samples: int) -> None:
    required = sequential.needed(bound, samples)
    assert required == samples + 1 or report(required, samples, bound)
    assert required == 0 or not report(required - 1, samples, bound)


@settings(deadline=None)
@given(st.integers(1, 60), st.data())
def test_all_samples_together_give_the_answer_of_report_mode(
    samples: int, data: st.DataObject
) -> None:
    successes = data.draw(st.integers(0, samples))
    bound, seed = data.draw(st.floats(0.01, 0.99)), data.draw(st.integers(0, 99))
    answer = run(successes, samples, bound=bound, alpha=1e-9, seed=seed)
    assert answer.passes is report(successes, samples, bound)


def test_a_thousand_models_around_the_bound_get_the_verdict_of_report_mode() -> None:
    """The error is counted where it is largest: one success below the bound, and just at it."""
    samples, bound, alpha = 400, 0.8, 0.05
    edge = sequential.needed(bound, samples)
    generator = np.random.default_rng(11)
    offsets = np.rint(generator.normal(0, 12, 1000)).astype(int)
    offsets[:250], offsets[250:500] = -1, 0
    wrong: dict[int, list[bool]] = {}
    seen = []
    for seed, offset in enumerate(offsets):
        successes = min(samples, edge + int(offset))
        answer = run(successes, samples, bound=bound, alpha=alpha, seed=seed)
        assert answer.passes is not None
        wrong.setdefault(int(np.sign(offset + 0.5)), []).append(
            answer.passes is not report(successes, samples, bound)
        )
        seen.append(answer.seen)
    everything = [error for errors in wrong.values() for error in errors]
    assert len(everything) == 1000
    at_the_edge = wrong[-1][:250] + wrong[1][:250]
    # three standard errors above alpha: 0.05 + 3 * sqrt(0.05 * 0.95 / 500)
    assert np.mean(at_the_edge) <= 0.08
    assert np.mean(everything) <= alpha + 0.02
    assert np.mean(everything) > 0  # a test that never errs is not a test at this rate
    assert np.mean(seen) < samples


def test_clear_models_are_told_apart_early() -> None:
    clear = [run(940, 1000, bound=0.8, alpha=0.05, seed=seed) for seed in range(30)]
    hopeless = [run(500, 1000, bound=0.8, alpha=0.05, seed=seed) for seed in range(30)]
    assert {answer.passes for answer in clear} == {True}
    assert {answer.passes for answer in hopeless} == {False}
    assert np.median([answer.seen for answer in clear]) < 150
    assert np.median([answer.seen for answer in hopeless]) < 50


def decided(
    outcomes: NDArray[np.bool_], risk: NDArray[np.float64], *, bound: float, alpha: float, seed: int
) -> Answer:
    return sequential.decide(
        lambda numbers: outcomes[numbers],
        risk,
        required=sequential.needed(bound, len(outcomes)),
        alpha=alpha,
        generator=np.random.default_rng(seed),
    )


@pytest.mark.parametrize("noise", [0.3, 3.0, 1e9], ids=["good guess", "poor guess", "none"])
def test_a_thousand_models_are_judged_as_report_mode_does_whatever_the_guess(noise: float) -> None:
    samples, bound, alpha = 400, 0.85, 0.05
    edge = sequential.needed(bound, samples)
    generator = np.random.default_rng(5)
    offsets = np.rint(generator.normal(0, 12, 1000)).astype(int)
    offsets[:250], offsets[250:500] = -1, 0
    wrong, seen = [], []
    for seed, offset in enumerate(offsets):
        successes = min(samples, edge + int(offset))
        outcomes = np.arange(samples) < successes
        risk = noise * generator.normal(size=samples) - outcomes
        answer = decided(outcomes, risk, bound=bound, alpha=alpha, seed=seed)
        wrong.append(answer.passes is not report(successes, samples, bound))
        seen.append(answer.seen)
    assert np.mean(wrong[:500]) <= 0.08  # three standard errors above alpha
    assert np.mean(wrong) <= alpha + 0.02
    assert np.mean(seen) < samples


def test_a_good_guess_saves_most_samples_near_the_bound() -> None:
    outcomes = np.arange(1000) < 891  # of 873 that 0.85 asks for
    good = decided(outcomes, -outcomes.astype(float), bound=0.85, alpha=0.05, seed=0)
    none = decided(outcomes, np.zeros(1000), bound=0.85, alpha=0.05, seed=0)
    assert good.passes and none.passes
    assert good.seen < 400 < 600 < none.seen


@settings(deadline=None)
@given(st.integers(1, 90), st.data())
def test_every_sample_asked_gives_the_answer_of_report_mode(
    samples: int, data: st.DataObject
) -> None:
    outcomes = np.array(data.draw(st.lists(st.booleans(), min_size=samples, max_size=samples)))
    bound, seed = data.draw(st.floats(0.01, 0.99)), data.draw(st.integers(0, 99))
    risk = np.random.default_rng(seed).normal(size=samples)
    answer = decided(outcomes, risk, bound=bound, alpha=1e-9, seed=seed)
    assert answer.passes is report(int(outcomes.sum()), samples, bound)
    assert answer.seen <= samples


def test_a_smaller_error_rate_takes_more_samples() -> None:
    seen = [
        np.mean([run(900, 1000, bound=0.8, alpha=alpha, seed=s).seen for s in range(20)])
        for alpha in (0.1, 0.001)
    ]
    assert seen[0] < seen[1]


def test_the_error_rates_of_all_retrainings_stay_below_the_whole() -> None:
    rates = [sequential.spend(0.05, attempt) for attempt in range(1, 2000)]
    assert rates == sorted(rates, reverse=True)
    assert 0.0499 < sum(rates) < 0.05
    with pytest.raises(ContractError, match="no count from 1"):
        sequential.spend(0.05, 0)


def test_a_bound_out_of_reach_fails_and_one_of_nothing_passes_before_any_sample() -> None:
    assert sequential.needed(1.0, 50) == 51
    assert sequential.Test(required=51, samples=50, alpha=0.05).answer().passes is False
    assert sequential.Test(required=0, samples=50, alpha=0.05).answer().passes is True


@pytest.mark.parametrize(("required", "samples", "alpha"), [(52, 50, 0.1), (1, 0, 0.1), (1, 9, 0)])
def test_questions_that_mean_nothing_are_refused(required: int, samples: int, alpha: float) -> None:
    with pytest.raises(ContractError, match="no question"):
        sequential.Test(required=required, samples=samples, alpha=alpha)


def test_more_samples_than_there_are_are_refused() -> None:
    test = sequential.Test(required=1, samples=1, alpha=0.05)
    test.see(True)
    with pytest.raises(ContractError, match="all 1 samples"):
        test.see(True)
