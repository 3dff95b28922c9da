"""Shifts change rows as their names say, are measured under a name each, and the worst is taken."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from hardgate import measurements, probes, region, shifts
from hardgate.errors import ParamsError
from hardgate.probes import Evaluation, Probe, Subject
from hardgate.records import Column, ColumnType, ImageInput, TableInput
from hardgate.samples import Samples
from hardgate.shifts import Shift, Shifts
from hardgate.threat import Threat

ROWS = 4000
INCOME, AGE, TOWN = range(3)
SPEC = TableInput(
    kind="table",
    columns=(
        Column(name="income", type=ColumnType.REAL, mean=0, scale=2, low=-6, high=6),
        Column(name="age", type=ColumnType.INTEGER, mean=40, scale=20, low=0, high=90),
        Column(
            name="town",
            type=ColumnType.CATEGORICAL,
            categories=("a", "b"),
            mean=0,
            scale=1,
            low=0,
            high=1,
        ),
    ),
    classes=("no", "yes"),
)
IMAGES = ImageInput(kind="images", shape=(1, 2, 2), classes=("0", "1"), mean=(0,), scale=(1,))
PGD = {"name": "pgd", "step_size": 0.1, "steps": 10, "restarts": 1}
IMAGE_ATTACKS: dict[str, Any] = {
    "attacks": [PGD, {"name": "square", "restarts": 1}],
    "curve": {"factors": [1], "attack": PGD, "samples": 9},
}
MEMBERS: tuple[dict[str, Any], ...] = (
    {"name": "inflation", "columns": ["income", "age"], "factor": 1.5},
    {"name": "noise", "scale": 0.5},
    {"name": "missing", "rate": 0.2},
    {"name": "subgroup", "column": "age", "min": 60},
)


def rows() -> Samples:
    """People whose class is whether their income is above zero; some cells are empty."""
    generator = np.random.default_rng(0)
    income = generator.normal(0, 2, ROWS)
    age = generator.integers(0, 91, ROWS).astype(float)
    town = generator.integers(0, 2, ROWS).astype(float)
    labels = torch.from_numpy((income > 0).astype(np.int64))
    income[:50], age[:50], town[:50] = np.nan, np.nan, -1
    inputs = torch.from_numpy(np.stack([income, age, town], axis=1)).float()
    return Samples(inputs, labels, torch.arange(ROWS))


def member(plain: dict[str, Any]) -> Shift:
    found: Shift = TypeAdapter(Shift).validate_python(plain)
    return found


def shifted(plain: dict[str, Any], seed: int = 0) -> Samples:
    return member(plain).shift(rows(), SPEC, np.random.default_rng(seed))


def asked(*members: dict[str, Any]) -> Shifts:
    return Shifts.model_validate({"samples": ROWS, "members": members})


def by_income(inputs: Tensor) -> Tensor:
    """The right answer for whoever's income is known, no answer for others."""
    yes = torch.sigmoid(inputs[:, INCOME].nan_to_num(0))
    return torch.stack([1 - yes, yes], dim=1)


def test_every_kind_of_shift_is_tried_here() -> None:
    assert len(MEMBERS) == len(get_args(get_args(Shift)[0]))


@pytest.mark.parametrize("plain", MEMBERS, ids=lambda plain: plain["name"])
def test_a_shift_keeps_whom_it_is_about_and_the_clean_rows(plain: dict[str, Any]) -> None:
    clean = rows()
    before = clean.inputs.clone()
    found = member(plain).shift(clean, SPEC, np.random.default_rng(0))
    torch.testing.assert_close(clean.inputs, before, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(found.labels, clean.labels[found.rows])
    assert found.inputs.dtype == torch.float32
    known = found.inputs[:, AGE][~found.inputs[:, AGE].isnan()]
    assert torch.equal(known, known.round()), "an integer column left the integers"
    again = member(plain).shift(clean, SPEC, np.random.default_rng(0))
    torch.testing.assert_close(found.inputs, again.inputs, rtol=0, atol=0, equal_nan=True)


def test_inflation_scales_its_columns_beyond_the_range_of_training() -> None:
    clean, found = rows().inputs[50:], shifted(MEMBERS[0]).inputs[50:]
    assert torch.equal(found[:, INCOME], clean[:, INCOME] * 1.5)
    assert torch.equal(found[:, AGE], (clean[:, AGE] * 1.5).round())
    assert torch.equal(found[:, TOWN], clean[:, TOWN])
    assert found[:, AGE].max() > SPEC.columns[AGE].high


def test_noise_has_the_columns_own_scale_and_makes_no_age_negative() -> None:
    clean, found = rows().inputs[50:], shifted(MEMBERS[1]).inputs[50:]
    moved = found - clean
    assert float(moved[:, INCOME].std()) == pytest.approx(0.5 * 2, rel=0.05)
    inner = (clean[:, AGE] > 45) & (clean[:, AGE] < 91)
    assert float(moved[inner, AGE].std()) == pytest.approx(0.5 * 20, rel=0.1)
    assert found[:, AGE].min() == 0
    assert found[:, INCOME].min() < -6
    assert torch.equal(found[:, TOWN], clean[:, TOWN])


def test_noise_leaves_empty_cells_and_other_columns_alone() -> None:
    found = shifted({**MEMBERS[1], "columns": ["income"]}).inputs
    assert found[:50, INCOME].isnan().all() and not found[50:].isnan().any()
    assert torch.equal(found[50:, AGE], rows().inputs[50:, AGE])


def test_missing_empties_the_promised_share_of_cells() -> None:
    found = shifted(MEMBERS[2]).inputs[50:]
    assert float(found[:, INCOME].isnan().float().mean()) == pytest.approx(0.2, abs=0.03)
    assert float((found[:, TOWN] == -1).float().mean()) == pytest.approx(0.2, abs=0.03)
    assert not found[:, TOWN].isnan().any()


@pytest.mark.parametrize(
    ("ends", "low", "high"),
    [({"min": 60}, 60, 90), ({"max": 20}, 0, 20), ({"min": 7, "max": 7}, 7, 7)],
)
def test_a_subgroup_holds_all_between_its_ends_and_no_empty_cell(
    ends: dict[str, float], low: float, high: float
) -> None:
    age = rows().inputs[50:, AGE]
    found = shifted({"name": "subgroup", "column": "age", **ends})
    assert found.rows.tolist() == (torch.where((age >= low) & (age <= high))[0] + 50).tolist()


def test_a_subgroup_of_categories_holds_those() -> None:
    found = shifted({"name": "subgroup", "column": "town", "values": ["b"]})
    assert set(found.inputs[:, TOWN].tolist()) == {1.0}
    assert len(found) == int((rows().inputs[:, TOWN] == 1).sum())


def test_each_shift_is_measured_and_the_lowest_interval_is_the_worst_whole() -> None:
    measured = shifts.measure(asked(*MEMBERS), SPEC, rows(), by_income, seed=0)
    for metric in shifts.METRICS:
        each = [measured[measurements.shift(member(m).label, metric)] for m in MEMBERS]
        worst = measured[measurements.worst_shift(metric)]
        assert worst in each and worst.lower == min(one.lower for one in each)
    assert len(measured) == 2 * (len(MEMBERS) + 1)
    assert measured["shift/subgroup age from 60/auc"].samples < ROWS / 2
    # the model sees nothing but income, which noise blurs at the border and inflation does not
    assert measured["shift/noise 0.5/auc"].value < measured["shift/worst/auc"].upper
    inflated = measured["shift/inflation 1.5 of income and 1 more/accuracy"]
    assert inflated.value > measured["shift/noise 0.5/accuracy"].upper


def test_where_one_shift_cannot_be_measured_there_is_no_worst() -> None:
    nobody = {"name": "subgroup", "column": "age", "min": 89.2, "max": 89.8}
    measured = shifts.measure(asked(MEMBERS[1], nobody), SPEC, rows(), by_income, seed=0)
    assert set(measured) == {"shift/noise 0.5/auc", "shift/noise 0.5/accuracy"}


def test_a_subgroup_of_one_class_has_accuracy_but_no_auc() -> None:
    rich = {"name": "subgroup", "column": "income", "min": 1}
    measured = shifts.measure(asked(rich), SPEC, rows(), by_income, seed=0)
    assert set(measured) == {"shift/subgroup income from 1/accuracy", "shift/worst/accuracy"}


def test_what_float32_cannot_hold_is_refused() -> None:
    huge = {**MEMBERS[0], "factor": 1e39}
    with pytest.raises(ParamsError, match="inflation 1e\\+39 of income and 1 more goes beyond"):
        shifts.measure(asked(huge), SPEC, rows(), by_income, seed=0)


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({**MEMBERS[0], "columns": ["incom"]}, "members.0.columns: the table has no column 'inc"),
        ({**MEMBERS[0], "columns": ["town"]}, "members.0.columns: column 'town' is categorical"),
        ({**MEMBERS[1], "columns": ["town"]}, "members.0.columns: column 'town' is categorical"),
        ({**MEMBERS[2], "columns": ["tow"]}, "members.0.columns: the table has no column 'tow'"),
        ({**MEMBERS[3], "column": "town"}, "members.0.column: 'town' is categorical; give values"),
        ({"name": "subgroup", "column": "age", "values": ["a"]}, "'age' is integer; give min or"),
        ({"name": "subgroup", "column": "town", "values": ["c"]}, "members.0.values: 'town' has"),
        ({**MEMBERS[3], "min": 91}, "members.0: nobody is there; on the training split 'age'"),
    ],
)
def test_what_the_table_does_not_have_is_refused_by_its_key(
    plain: dict[str, Any], said: str
) -> None:
    with pytest.raises(ParamsError) as raised:
        asked(plain).check(SPEC)
    assert str(raised.value).startswith("evaluation.shifts.") and said in str(raised.value)


def test_images_are_refused() -> None:
    with pytest.raises(ParamsError, match="for images use"):
        asked(MEMBERS[1]).check(IMAGES)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([], "at least 1 item"),
        ([MEMBERS[1], MEMBERS[1]], "two shifts are both called 'noise 0.5'"),
        ([{**MEMBERS[0], "factor": 1}], "changes nothing"),
        ([{**MEMBERS[0], "columns": []}], "at least 1 item"),
        ([{**MEMBERS[2], "rate": 0}], "greater than 0"),
        ([{"name": "subgroup", "column": "age"}], "expected min or max"),
        ([{**MEMBERS[3], "values": ["a"]}], "expected min or max"),
        ([{**MEMBERS[3], "max": 50}], "min 60 is above max 50"),
    ],
)
def test_a_section_that_means_nothing_is_refused(members: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        asked(*members)


def section(**changes: Any) -> Evaluation:
    pgd = {**PGD, "name": "constrained-pgd", "check_every": 5}
    plain: dict[str, Any] = {
        "samples": 1000,
        "batch_size": 300,
        "attacks": [pgd, {"name": "constrained-search", "share": 0.5}],
        "curve": {"factors": [1], "attack": pgd, "samples": 9},
        "diagnostics": 9,
        "price": 9,
    }
    return Evaluation.model_validate({**plain, **changes})


def test_the_probe_is_planned_when_asked_for_and_measures_its_samples() -> None:
    threat = Threat(norm="Linf", eps=0.1, access="white-box", queries=9, columns={"income": {}})
    want = section(shifts={"samples": 700, "members": MEMBERS})
    probe = Probe(kind="shifts", name="shifts")
    assert probe in probes.plan(want, SPEC, threat)
    assert probe not in probes.plan(section(), SPEC, threat)
    with pytest.raises(ParamsError, match="for images use"):
        probes.plan(section(**IMAGE_ATTACKS, shifts=want.shifts), IMAGES, threat)

    class ByIncome(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return by_income(inputs).log()

    test = rows()
    subject = Subject(
        model=ByIncome(),
        spec=SPEC,
        threat=threat,
        region=region.build(threat, SPEC),
        train=test,
        held_out=test,
        test=test,
        attacked=probes.choose(test, 1000, seed=0),
        batch_size=300,
        device=torch.device("cpu"),
        seed=0,
    )
    found = probes.measure(
        probe,
        want,
        subject,
        None,  # type: ignore[arg-type]  nothing is trained beside it
    )
    assert found.measurements["shift/noise 0.5/auc"].samples == 700
    assert 0.9 < found.measurements["shift/worst/auc"].value < 1
