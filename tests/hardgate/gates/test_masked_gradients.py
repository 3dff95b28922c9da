"""All signs are asked for; the gravest is the finding; an excuse needs words."""

import pytest
from pydantic import ValidationError

from hardgate import measurements, statistics
from hardgate.gates.masked_gradients import MaskedGradientsGate
from hardgate.measurements import SIGNS
from hardgate.records import Verdict

GATE = MaskedGradientsGate(kind="masked_gradients", bound=0.05, min_samples=200)
HEALTHY = {measurements.diagnostics(sign): statistics.wilson(0, 500) for sign in SIGNS}


def test_no_sign_passes():
    assert GATE.judge(HEALTHY).verdict is Verdict.PASSED


@pytest.mark.parametrize("sign", SIGNS)
def test_one_sign_is_enough_to_fail(sign):
    name = measurements.diagnostics(sign)
    finding = GATE.judge(HEALTHY | {name: statistics.wilson(400, 500)})
    assert finding.verdict is Verdict.FAILED
    assert name in finding.message
    assert finding.observed.value == 0.8


@pytest.mark.parametrize("sign", SIGNS)
def test_one_sign_not_looked_for_is_unmeasured(sign):
    name = measurements.diagnostics(sign)
    finding = GATE.judge({key: value for key, value in HEALTHY.items() if key != name})
    assert finding.verdict is Verdict.UNMEASURED
    assert name in finding.message


def test_a_sign_that_was_found_says_more_than_one_not_looked_for():
    found = {"diagnostics/zero_gradient_share": statistics.wilson(400, 500)}
    assert GATE.judge(found).verdict is Verdict.FAILED


def test_an_excused_sign_is_not_asked_for():
    excused = GATE.model_copy(update={"not_asked": {"survives_unbounded": "immutable columns"}})
    name = measurements.diagnostics("survives_unbounded")
    without = {key: value for key, value in HEALTHY.items() if key != name}
    assert excused.judge(without).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("not_asked", "found"),
    [
        ({"survives_unbounded": "  no  "}, "at least 10 characters"),
        ({"survives": "immutable columns"}, "survives"),
        (dict.fromkeys(SIGNS, "none of them fits"), "ask nothing"),
    ],
)
def test_an_excuse_without_reason_or_for_everything_is_refused(not_asked, found):
    with pytest.raises(ValidationError, match=found):
        MaskedGradientsGate(**GATE.model_dump() | {"not_asked": not_asked})


def test_transfer_that_beats_the_gradient_is_a_sign_where_it_was_measured():
    name = measurements.TRANSFER_BEATS_WHITE_BOX
    assert GATE.judge(HEALTHY | {name: statistics.wilson(0, 500)}).verdict is Verdict.PASSED
    finding = GATE.judge(HEALTHY | {name: statistics.wilson(100, 500)})
    assert finding.verdict is Verdict.FAILED
    assert name in finding.message
