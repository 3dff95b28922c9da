from hardgate import measurements, sequential, statistics
from hardgate.gates.robust_sequential import RobustSequentialGate
from hardgate.records import Measurement, Verdict

GATE = RobustSequentialGate(
    kind="robust_sequential", attack="cascade", bound=0.8, alpha=0.05, min_samples=1000
)


def evidence(*, reached: float, rate: float, before: int) -> dict[str, Measurement]:
    return {
        measurements.reaches("cascade", 0.8): statistics.exact(reached, 1000),
        measurements.error_rate("cascade"): statistics.exact(rate, 1000),
        measurements.VERSIONS_BEFORE: statistics.exact(before, 1),
    }


def test_the_first_version_passes_at_what_the_first_may_spend() -> None:
    assert GATE.judge(evidence(reached=1, rate=0.025, before=0)).verdict is Verdict.PASSED


def test_what_was_not_surely_reached_fails() -> None:
    assert GATE.judge(evidence(reached=0, rate=0.025, before=0)).verdict is Verdict.FAILED


def test_a_later_version_may_spend_less_and_is_told_how_much() -> None:
    late = GATE.judge(evidence(reached=1, rate=0.025, before=4))
    assert late.verdict is Verdict.FAILED
    assert "version 5 may spend of 0.05" in late.message
    rate = sequential.spend(0.05, 5)
    assert GATE.judge(evidence(reached=1, rate=rate, before=4)).verdict is Verdict.PASSED


def test_the_answer_to_another_bound_is_none() -> None:
    found = evidence(reached=1, rate=0.025, before=0)
    found[measurements.reaches("cascade", 0.7)] = found.pop(measurements.reaches("cascade", 0.8))
    assert GATE.judge(found).verdict is Verdict.UNMEASURED


def test_attempts_that_nobody_counted_are_no_answer() -> None:
    found = evidence(reached=1, rate=0.025, before=0)
    del found[measurements.VERSIONS_BEFORE]
    assert GATE.judge(found).verdict is Verdict.UNMEASURED
