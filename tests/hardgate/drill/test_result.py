"""What counts as right: refused by who should, or let through when good."""

from __future__ import annotations

import pytest

from hardgate.drill.result import Drill, Outcome


def outcome(expected: str | None, *refused_by: str) -> Outcome:
    return Outcome(name="a", story="b", expected=expected, refused_by=refused_by, seconds=1)


@pytest.mark.parametrize(
    ("found", "right"),
    [
        (outcome(None), True),
        (outcome(None, "calibration"), False),
        (outcome("fairness/SEX", "calibration", "fairness/SEX/clean/demographic_parity"), True),
        (outcome("fairness/SEX", "calibration"), False),
        (outcome("fairness/SEX"), False),
        (outcome("held until", "approval: the evidence held until 2026-01-01"), True),
    ],
)
def test_a_refusal_counts_only_by_who_should(found: Outcome, right: bool) -> None:
    assert found.right is right


def test_one_wrong_candidate_of_many_fails_the_drill() -> None:
    good, bad, missed = outcome(None), outcome("x", "x"), outcome("x")
    drilled = Drill(
        outcomes=(good, bad, missed), drilled_at="2026-01-01T00:00:00+00:00", commit="c", seconds=3
    )
    assert drilled.score == pytest.approx(2 / 3)
    assert drilled.exit_code == 1
    assert str(drilled).startswith("1 of 2 bad candidates")
    whole = drilled.model_copy(update={"outcomes": (good, bad)})
    assert (whole.score, whole.exit_code) == (1, 0)
