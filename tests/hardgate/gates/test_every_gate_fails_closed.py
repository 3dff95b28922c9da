"""Every gate of the union, by its example in docs/gates.md: a newcomer is picked up by itself."""

import math
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from hardgate import gates, measurements, statistics
from hardgate.errors import ParamsError
from hardgate.gates import Gate
from hardgate.gates.questions import paragraph
from hardgate.records import Measurement, Verdict

GATE = TypeAdapter(Gate)
KINDS = {
    member.model_fields["kind"].annotation.__args__[0]: member
    for member in get_args(get_args(Gate)[0])
}
BOUNDED = [kind for kind, member in KINDS.items() if "bound" in member.model_fields]
GUIDE = Path("docs/gates.md").read_text(encoding="utf-8")
# What some gates must know before they judge at all.
PREMISES = {
    measurements.EXPECTATIONS: statistics.exact(30, 10_000),
    measurements.COLUMNS_SCANNED: statistics.exact(30, 10_000),
    measurements.VERSIONS_BEFORE: statistics.exact(0, 1),
    measurements.CHAMPION_EXISTS: statistics.exact(0, 1),
}


def example(kind):
    """The gate as its paragraph writes it in YAML."""
    section = GUIDE.split(f"\n## {paragraph(kind)}\n")[1]
    (written,) = yaml.safe_load(re.search(r"```yaml\n(.*?)```", section, re.DOTALL)[1])
    return GATE.validate_python(written)


@pytest.fixture(params=KINDS)
def gate(request):
    return example(request.param)


def at(question, *, off=0.0, samples=None):
    """A measurement whose judged end lies ``off`` from the bound, towards failing."""
    towards = -off if question.end == "lower" else off
    end = question.bound + towards
    value = end + 0.001 if question.end == "lower" else end - 0.001
    value = min(max(value, question.domain[0]), question.domain[1])
    return Measurement(
        value=value,
        lower=min(end, value),
        upper=max(end, value),
        samples=samples or question.min_samples,
        interval="bootstrap",
    )


def evidence(gate, **changes):
    return PREMISES | {q.name: at(q, **changes) for q in gate.questions()}


def forged(measured, **changes):
    """A measurement that skipped the checks of its record, as pydantic lets trusted code do."""
    return Measurement.model_construct(**{**dict(measured), **changes})


def test_every_kind_is_in_the_table():
    assert len(KINDS) == len(get_args(get_args(Gate)[0]))
    assert {example(kind).kind for kind in KINDS} == set(KINDS)


def test_exactly_at_the_bound_passes(gate):
    finding = gate.judge(evidence(gate))
    assert finding.verdict is Verdict.PASSED
    assert finding.bound == gate.questions()[0].bound
    assert finding.observed is not None


def test_just_below_the_bound_fails(gate):
    for question in gate.questions():
        found = evidence(gate) | {question.name: at(question, off=1e-9)}
        assert gate.judge(found).verdict is Verdict.FAILED
        worse = at(question, off=0.05)
        assert gate.judge(evidence(gate) | {question.name: worse}).observed == worse


def test_the_cautious_end_is_judged_and_not_the_value(gate):
    for question in gate.questions():
        good = question.domain[1] if question.end == "lower" else question.domain[0]
        bad = at(question, off=0.01)
        wide = forged(bad, value=good, lower=min(bad.lower, good), upper=max(bad.upper, good))
        assert gate.judge(evidence(gate) | {question.name: wide}).verdict is Verdict.FAILED


def test_no_evidence_is_unmeasured(gate):
    finding = gate.judge({})
    assert finding.verdict is Verdict.UNMEASURED
    assert finding.observed is None
    assert "holds no" in finding.message


def test_each_missing_measurement_is_unmeasured(gate):
    whole = evidence(gate)
    needed = {question.name for question in gate.questions()}
    for name in needed:
        finding = gate.judge({key: value for key, value in whole.items() if key != name})
        assert finding.verdict is Verdict.UNMEASURED
        assert name in finding.message


def test_evidence_of_another_name_is_unmeasured(gate):
    renamed = {f"{name}/of_another": value for name, value in evidence(gate).items()}
    assert gate.judge(renamed).verdict is Verdict.UNMEASURED
    upper = {name.upper(): value for name, value in evidence(gate).items()}
    assert gate.judge(upper).verdict is Verdict.UNMEASURED


def test_too_few_samples_are_unmeasured(gate):
    for question in gate.questions():
        few = at(question, samples=question.min_samples - 1)
        finding = gate.judge(evidence(gate) | {question.name: few})
        assert finding.verdict is Verdict.UNMEASURED
        assert f"{question.min_samples} are needed" in finding.message


@pytest.mark.parametrize(
    "broken",
    [
        {"value": math.nan, "lower": math.nan, "upper": math.nan},
        {"lower": math.nan},
        {"upper": math.nan},
        {"value": math.inf, "lower": math.inf, "upper": math.inf},
        {"lower": -math.inf},
        {"upper": math.inf},
        {"lower": 2.0, "upper": -2.0},
        {"samples": 0},
        {"samples": None},
        {"value": "0.99"[:0]},
        {"value": 1e9, "lower": 1e9, "upper": 1e9, "interval": "made up"},
    ],
    ids=str,
)
def test_what_is_no_measurement_is_unmeasured(gate, broken):
    for question in gate.questions():
        found = evidence(gate) | {question.name: forged(at(question), **broken)}
        finding = gate.judge(found)
        assert finding.verdict is Verdict.UNMEASURED
        assert finding.observed is None


def test_what_cannot_be_is_unmeasured(gate):
    for question in gate.questions():
        for outside in (question.domain[0] - 0.5, question.domain[1] + 0.5):
            if math.isfinite(outside):
                found = evidence(gate) | {question.name: statistics.exact(outside, 100_000)}
                finding = gate.judge(found)
                assert finding.verdict is Verdict.UNMEASURED
                assert "can only lie between" in finding.message


def test_the_finding_says_all_in_words_and_ends_with_its_paragraph(gate):
    for found in ({}, evidence(gate), evidence(gate, off=0.01)):
        finding = gate.judge(found)
        assert finding.gate == gate.label
        assert finding.gate.split("/")[0] == gate.kind
        assert finding.message.startswith(f"{finding.verdict.value}: ")
        assert finding.condition in finding.message
        assert f"{finding.bound:g}" in finding.condition
        assert finding.message.endswith(f"docs/gates.md, {paragraph(gate.kind)}")


def test_judging_is_pure(gate):
    found = evidence(gate)
    before = dict(found)
    assert gate.judge(found) == gate.judge(found)
    assert found == before


def test_a_bound_or_sample_size_has_no_default(gate):
    plain = gate.model_dump()
    for key in {"bound", "min_samples", "margin"} & plain.keys():
        with pytest.raises(ValidationError, match="Field required"):
            GATE.validate_python({name: value for name, value in plain.items() if name != key})


@pytest.mark.parametrize("gate", BOUNDED, indirect=True)
def test_a_bound_that_every_model_meets_cannot_be_written(gate):
    question = gate.questions()[0]
    # -1 or 0 where more is better; 1 or infinity where less is better
    vacuous = (-1.0, 0.0) if question.end == "lower" else (1.0, math.inf)
    if question.domain[1] == math.inf:
        vacuous = (math.inf, math.nan)
    for bound in vacuous:
        with pytest.raises(ValidationError):
            GATE.validate_python(gate.model_dump() | {"bound": bound})


def test_an_unknown_key_or_kind_is_refused(gate):
    with pytest.raises(ValidationError, match="Extra inputs"):
        GATE.validate_python(gate.model_dump() | {"enabled": False})
    with pytest.raises(ValidationError):
        GATE.validate_python(gate.model_dump() | {"kind": f"{gate.kind}s"})


def test_the_same_question_twice_is_refused_whatever_its_bound(gate):
    plain = gate.model_dump()
    again = GATE.validate_python(plain | {"min_samples": plain["min_samples"] + 1})
    with pytest.raises(ParamsError, match=f"asks the same twice: {gate.label}"):
        gates.decide([gate, again], evidence(gate))
    with pytest.raises(ValidationError, match="asks the same twice"):
        TypeAdapter(gates.Policy).validate_python([plain, again.model_dump()])
