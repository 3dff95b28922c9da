"""The champion raises the bound and never lowers it; the first model has no special pass."""

import pytest
from pydantic import ValidationError

from hardgate import statistics
from hardgate.gates.clean_quality import CleanQualityGate
from hardgate.records import Measurement, Verdict

GATE = CleanQualityGate(kind="clean_quality", metric="auc", bound=0.7, margin=0.02, min_samples=100)


def auc(value, *, half=0.01, samples=1000):
    return Measurement(
        value=value, lower=value - half, upper=value + half, samples=samples, interval="delong"
    )


def judge(candidate, champion=None, exists=None):
    found = {"clean/auc": candidate}
    if champion is not None:
        found["champion/auc"] = champion
    if exists is not None:
        found["champion/exists"] = statistics.exact(exists, 1)
    return GATE.judge(found)


def test_the_first_model_needs_the_absolute_bound():
    assert judge(auc(0.72), exists=0).verdict is Verdict.PASSED
    assert judge(auc(0.70), exists=0).verdict is Verdict.FAILED


def test_not_knowing_whether_there_is_a_champion_is_unmeasured():
    finding = judge(auc(0.99), champion=auc(0.7))
    assert finding.verdict is Verdict.UNMEASURED
    assert "champion/exists" in finding.message


@pytest.mark.parametrize("exists", [0.5, 2, -1])
def test_a_champion_that_half_exists_is_unmeasured(exists):
    assert judge(auc(0.99), champion=auc(0.7), exists=exists).verdict is Verdict.UNMEASURED


def test_a_champion_without_a_number_is_unmeasured():
    assert judge(auc(0.99), exists=1).verdict is Verdict.UNMEASURED
    few = judge(auc(0.99), champion=auc(0.7, samples=99), exists=1)
    assert few.verdict is Verdict.UNMEASURED
    assert "100 are needed" in few.message


def test_a_good_champion_raises_the_bound_to_itself_less_the_margin():
    passed = judge(auc(0.79), champion=auc(0.80), exists=1)
    assert passed.verdict is Verdict.PASSED
    assert passed.bound == pytest.approx(0.78)
    assert "the champion's 0.8 less the margin 0.02" in passed.condition
    assert judge(auc(0.785), champion=auc(0.80), exists=1).verdict is Verdict.FAILED


def test_a_poor_champion_does_not_lower_the_bound():
    finding = judge(auc(0.69), champion=auc(0.60), exists=1)
    assert finding.verdict is Verdict.FAILED
    assert finding.bound == 0.7


def test_an_auc_no_better_than_guessing_cannot_be_asked_for():
    with pytest.raises(ValidationError, match="no better than guessing"):
        CleanQualityGate(**GATE.model_dump() | {"bound": 0.5})
    CleanQualityGate(**GATE.model_dump() | {"bound": 0.5, "metric": "accuracy"})


def test_a_margin_that_switches_the_comparison_off_cannot_be_written():
    with pytest.raises(ValidationError, match="switches the comparison off"):
        CleanQualityGate(**GATE.model_dump() | {"margin": 0.3})
