from __future__ import annotations

import math
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hardgate import region
from hardgate.errors import ParamsError
from hardgate.records import Column, ColumnType, ImageInput, TableInput
from hardgate.region import ImageRegion
from hardgate.threat import Freedom, Threat

IMAGES = ImageInput(kind="images", shape=(1, 4, 4), classes=("a", "b"), mean=(0.5,), scale=(0.2,))


def column(name: str, **changes: object) -> Column:
    plain = {"type": "real", "mean": 0.0, "scale": 1.0, "low": -10.0, "high": 10.0}
    return Column.model_validate({"name": name, **plain, **changes})


def table(*columns: Column) -> TableInput:
    return TableInput(kind="table", columns=columns, classes=("no", "yes"))


def threat(**changes: object) -> Threat:
    plain = {"norm": "Linf", "eps": 0.5, "access": "white-box", "queries": 10}
    return Threat.model_validate({**plain, **changes})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(*values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


class Situation(NamedTuple):
    threat: Threat
    spec: TableInput
    clean: Tensor
    perturbed: Tensor


# Random threats on random tables: some columns large, some integer, some missing, some immutable.
@st.composite
def situations(draw: st.DrawFn) -> Situation:
    width = draw(st.integers(2, 5))
    columns, freedoms = [], {}
    for index in range(width):
        scale = draw(st.sampled_from([0.01, 1.0, 3.0, 16_000.0]))
        kind = draw(st.sampled_from([ColumnType.REAL, ColumnType.INTEGER]))
        name = f"c{index}"
        immutable = index > 0 and draw(st.booleans())
        columns.append(column(name, type=kind, scale=scale, low=-5 * scale, high=100 * scale))
        if not immutable:
            freedoms[name] = Freedom(
                direction=draw(st.sampled_from(["both", "up", "down"])),
                min=draw(st.sampled_from([None, 0.0, -0.3 * scale])),
                integer=draw(st.booleans()),
            )
    relations = []
    for _ in range(draw(st.integers(0, 4))):
        picked = draw(st.lists(st.integers(0, width - 1), min_size=1, max_size=3, unique=True))
        terms = [f"{draw(st.sampled_from(['-2', '-1', '0.5', '1', '3']))} * c{i}" for i in picked]
        sign = draw(st.sampled_from(["<=", ">="]))
        relations.append(f"{' + '.join(terms)} {sign} {draw(st.sampled_from([-7, 0, 1, 20000]))}")
    setting = threat(
        norm=draw(st.sampled_from(["Linf", "L2"])),
        eps=draw(st.sampled_from([0.1, 0.3, 2.0])),
        columns=freedoms,
        relations=tuple(relations),
    )
    spec = table(*columns)
    source = generator(draw(st.integers(0, 2**31 - 1)))
    scales = torch.tensor([c.scale for c in columns])
    clean = torch.randn(40, width, generator=source) * scales * draw(st.sampled_from([1, 60]))
    whole = torch.rand(40, width, generator=source) < 0.7
    clean = torch.where(whole, clean.round(), clean)
    clean[torch.rand(40, width, generator=source) < 0.05] = torch.nan
    noise = torch.randn(40, width, generator=source) * scales * draw(st.sampled_from([0.2, 2, 90]))
    return Situation(setting, spec, clean, clean + noise)


def breaks(setting: Threat, spec: TableInput, clean: list[float], moved: list[float]) -> str:
    """Say which constraint a row breaks, one value at a time and without the code under test."""
    distances = []
    for c, before, after in zip(spec.columns, clean, moved, strict=True):
        free = setting.columns.get(c.name)
        if math.isnan(before) or free is None or after == before:
            same = after == before or (math.isnan(after) and math.isnan(before))
            if not same:
                return f"{c.name} moved from {before} to {after}"
            continue
        slack = 1e-6 * c.scale
        distances.append((after - before) / c.scale)
        low = c.low if free.min is None else free.min
        if (free.direction == "up" and after < before) or (
            free.direction == "down" and after > before
        ):
            return f"{c.name} went the wrong way"
        if not min(low, before) - slack <= after <= max(c.high, before) + slack:
            return f"{c.name} left its bounds"
        if (free.integer or c.type is ColumnType.INTEGER) and after != round(after):
            return f"{c.name} is not whole"
    length = (
        max(map(abs, distances), default=0) if setting.norm == "Linf" else math.hypot(*distances)
    )
    if length > setting.eps + 1e-6:
        return f"{length} is further than eps"
    position = {c.name: index for index, c in enumerate(spec.columns)}
    for text, relation in zip(setting.relations, setting.inequalities(), strict=True):
        weights = {position[name]: weight for name, weight in relation.weights.items()}
        was, now = (
            math.fsum(weight * row[index] for index, weight in weights.items())
            for row in (clean, moved)
        )
        slack = 1e-6 * sum(abs(w) * spec.columns[index].scale for index, w in weights.items())
        if was <= relation.bound and now > relation.bound + slack:
            return f"{text} was kept and is broken"
    return ""


@settings(max_examples=60, deadline=None)
@given(situations())
def test_repaired_rows_are_always_admissible(situation: Situation) -> None:
    setting, spec, clean, perturbed = situation
    allowed = region.build(setting, spec)
    before = clean.clone(), perturbed.clone()
    repaired = allowed.repair(perturbed, clean)
    assert allowed.admits(repaired, clean).all()
    assert repaired.dtype == torch.float32
    for row, moved in zip(clean.tolist(), repaired.tolist(), strict=True):
        assert breaks(setting, spec, row, moved) == ""
    torch.testing.assert_close((clean, perturbed), before, rtol=0, atol=0, equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(situations())
def test_what_is_admitted_breaks_nothing(situation: Situation) -> None:
    setting, spec, clean, perturbed = situation
    allowed = region.build(setting, spec)
    for rows_ in (perturbed, allowed.project(perturbed, clean)):
        admitted = allowed.admits(rows_, clean)
        for good, row, moved in zip(admitted, clean.tolist(), rows_.tolist(), strict=True):
            assert not good or breaks(setting, spec, row, moved) == ""


@settings(max_examples=60, deadline=None)
@given(situations())
def test_no_admissible_row_lies_outside_the_box(situation: Situation) -> None:
    setting, spec, clean, perturbed = situation
    allowed = region.build(setting, spec)
    lower, upper = allowed.box(clean)
    for rows_ in (clean, allowed.repair(perturbed, clean), lower, upper):
        admitted = allowed.admits(rows_, clean).unsqueeze(1) & ~rows_.isnan()
        assert not (admitted & ((rows_ < lower) | (rows_ > upper))).any()
    fixed = torch.tensor([column.name not in setting.columns for column in spec.columns])
    torch.testing.assert_close(lower[:, fixed], clean[:, fixed], rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(upper[:, fixed], clean[:, fixed], rtol=0, atol=0, equal_nan=True)
    assert (lower.isnan() == clean.isnan()).all()


def test_the_box_of_rows_ends_where_bound_direction_or_radius_do() -> None:
    spec = table(column("a", scale=2.0), column("b"), column("c"))
    free = {"a": {}, "b": {"direction": "up"}, "c": {"min": 0.8}}
    allowed = region.build(threat(columns=free), spec)
    lower, upper = allowed.box(rows([1.0, 1.0, 1.0]))
    torch.testing.assert_close(lower, rows([0.0, 1.0, 0.8]), atol=1e-5, rtol=0)
    torch.testing.assert_close(upper, rows([2.0, 1.5, 1.5]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_the_box_of_images_ends_at_the_ball_and_at_the_pixel_range(norm: str) -> None:
    allowed = region.build(threat(norm=norm, eps=0.3), IMAGES)
    clean = torch.tensor([0.0, 0.1, 0.5, 1.0]).repeat(4).view(1, 1, 4, 4)
    lower, upper = allowed.box(clean)
    ends = torch.tensor([0.0, 0.0, 0.2, 0.7]), torch.tensor([0.3, 0.4, 0.8, 1.0])
    torch.testing.assert_close(lower[0, 0, 0], ends[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(upper[0, 0, 0], ends[1], atol=1e-5, rtol=0)
    # What passes for admissible by rounding is inside as well.
    edge = (clean + 0.3 + 9e-7).clamp(max=1 + 9e-7)
    if norm == "Linf":
        assert allowed.admits(edge, clean).all()
    assert (edge <= upper).all()


@settings(max_examples=50, deadline=None)
@given(situations())
def test_the_clean_row_is_always_admissible_and_repair_leaves_it(situation: Situation) -> None:
    setting, spec, clean, _ = situation
    allowed = region.build(setting, spec)
    assert allowed.admits(clean, clean).all()
    torch.testing.assert_close(allowed.repair(clean, clean), clean, rtol=0, atol=0, equal_nan=True)


@settings(max_examples=50, deadline=None)
@given(situations())
def test_projection_and_start_keep_box_and_missing_cells(situation: Situation) -> None:
    setting, spec, clean, perturbed = situation
    allowed = region.build(setting, spec)
    for moved in (allowed.project(perturbed, clean), allowed.start(clean, generator())):
        assert torch.equal(moved.isnan(), clean.isnan())
        scales = torch.tensor([c.scale for c in spec.columns])
        far = ((moved - clean).double().abs() / scales).nan_to_num()
        assert far.max() <= allowed.eps * 1.001 + 1e-3


CREDIT = table(
    column("limit", type="integer", scale=130_000.0, low=10_000.0, high=1_000_000.0),
    column("bill1", type="integer", scale=73_000.0, low=-165_580.0, high=964_511.0),
    column("bill2", type="integer", scale=71_000.0, low=-69_777.0, high=983_931.0),
    column("paid1", type="integer", scale=16_563.0, low=0.0, high=873_552.0),
    column("sex", type="categorical", categories=("1", "2"), low=0.0, high=1.0),
)
AMOUNTS = {
    "bill1": {"integer": True},
    "bill2": {"integer": True},
    "paid1": {"min": 0, "integer": True},
}
RELATIONS = ("bill2 - paid1 <= bill1", "bill1 <= 2 * limit")


def test_large_amounts_stay_whole_and_keep_their_relations() -> None:
    allowed = region.build(threat(eps=0.3, columns=AMOUNTS, relations=RELATIONS), CREDIT)
    source = generator()
    clean = (torch.rand(2000, 5, generator=source) * 900_000).round()
    clean[:, 4] = 1
    clean[:1000, 2] = clean[:1000, 1]  # exactly on the first relation, if nothing was paid
    clean[:1000, 3] = 0
    attacked = clean + torch.randn(2000, 5, generator=source) * 30_000
    found = allowed.repair(allowed.project(attacked, clean), clean).double()
    origin = clean.double()
    assert torch.equal(found, found.round())
    assert torch.equal(found[:, [0, 4]], origin[:, [0, 4]])
    assert (found[:, 3] >= 0).all()
    broken = found[:, 2] - found[:, 3] > found[:, 1]
    assert not (broken & (origin[:, 2] - origin[:, 3] <= origin[:, 1])).any()
    assert (found != origin).any(dim=1).float().mean() > 0.99  # repaired, not given up


def test_a_relation_that_the_clean_row_breaks_is_not_demanded() -> None:
    spec = table(column("a"), column("b"))
    allowed = region.build(threat(eps=1, columns={"a": {}}, relations=("a <= b",)), spec)
    keeps, breaks = rows([0, 0.5]), rows([2, 0.5])
    assert not allowed.admits(rows([0.9, 0.5]), keeps).item()
    assert allowed.repair(rows([0.9, 0.5]), keeps).tolist() == [[0.5, 0.5]]
    assert allowed.admits(rows([2.9, 0.5]), breaks).item()


def test_a_relation_about_a_missing_cell_is_not_demanded() -> None:
    spec = table(column("a"), column("b"))
    allowed = region.build(threat(eps=1, columns={"a": {}}, relations=("a <= b",)), spec)
    clean = rows([0, torch.nan])
    moved = allowed.repair(rows([0.9, torch.nan]), clean)
    assert moved[0, 0] == pytest.approx(0.9)
    assert moved[0, 1].isnan()


@pytest.mark.parametrize(
    ("moved", "admitted"),
    [
        ([1.5, 3.0], True),
        ([1.6, 3.0], False),  # further than eps
        ([1.0, 3.1], False),  # immutable
        ([0.9, 3.0], False),  # the wrong way
        ([float("nan"), 3.0], False),
        ([float("inf"), 3.0], False),
    ],
)
def test_admission_knows_radius_direction_and_immutable_columns(
    moved: list[float], admitted: bool
) -> None:
    spec = table(column("a"), column("b"))
    allowed = region.build(threat(columns={"a": {"direction": "up"}}), spec)
    assert allowed.admits(rows(moved), rows([1, 3])).item() is admitted


@pytest.mark.parametrize(("monotone", "way"), [("increasing", 1), ("decreasing", -1)])
def test_a_monotone_column_is_moved_one_way_only(monotone: str, way: int) -> None:
    spec = table(column("a", monotone=monotone), column("b"))
    allowed = region.build(threat(columns={"a": {}, "b": {}}), spec)
    assert allowed.admits(rows([1 + 0.3 * way, 3]), rows([1, 3])).item()
    assert not allowed.admits(rows([1 - 0.3 * way, 3]), rows([1, 3])).item()
    assert allowed.repair(rows([1 - 0.3 * way, 3.4]), rows([1, 3])).tolist() == [
        pytest.approx([1, 3.4])
    ]


def test_a_value_outside_its_bounds_may_stay_but_not_move_further_out() -> None:
    spec = table(column("a", low=0.0, high=1.0))
    allowed = region.build(threat(columns={"a": {}}), spec)
    clean = rows([3.0], [3.0], [-2.0])
    moved = allowed.repair(rows([3.4], [2.6], [-2.4]), clean)
    torch.testing.assert_close(moved, rows([3.0], [2.6], [-2.0]))


def test_integers_cannot_move_by_less_than_one() -> None:
    spec = table(column("a", type="integer"))
    allowed = region.build(threat(eps=0.9, columns={"a": {}}), spec)
    assert allowed.repair(rows([4.9]), rows([4])).item() == 4
    assert not allowed.admits(rows([4.5]), rows([4])).item()


def test_a_step_is_measured_in_standard_deviations() -> None:
    spec = table(column("a", scale=2.0), column("b", scale=5.0), column("c"))
    gradient = rows([3, -1, 7])
    for norm, expected in (
        ("Linf", [0.2, -0.5, 0]),
        ("L2", [0.2 * 6 / 61**0.5, -0.5 * 5 / 61**0.5, 0]),
    ):
        allowed = region.build(threat(norm=norm, columns={"a": {}, "b": {}}), spec)
        torch.testing.assert_close(allowed.step(gradient, 0.1), rows(expected))


def test_a_scaled_region_keeps_its_constraints() -> None:
    spec = table(column("a"), column("b"))
    allowed = region.build(threat(columns={"a": {"direction": "up"}}), spec).scaled(4)
    assert allowed.eps == 2
    assert allowed.repair(rows([9, 9]), rows([1, 3])).tolist() == [[3, 3]]
    assert allowed.repair(rows([-9, 9]), rows([1, 3])).tolist() == [[1, 3]]


SPEC = table(
    column("a"),
    column("fixed", immutable=True),
    column("kind", type="categorical", categories=("x", "y")),
    column("age", monotone="increasing"),
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "threat.columns is empty"),
        ({"columns": {"b": {}}}, "no such column; it has a, fixed, kind, age"),
        ({"columns": {"fixed": {}}}, "threat.columns.fixed: the column is immutable"),
        ({"columns": {"kind": {}}}, "categorical"),
        ({"columns": {"age": {"direction": "down"}}}, "down, but the column is increasing by"),
        ({"columns": {"a": {"min": 11}}}, "above all data"),
        ({"columns": {"a": {"max": -11}}}, "below all data"),
        ({"columns": {"a": {}}, "relations": ("a <= z",)}, "unknown column 'z'"),
        ({"columns": {"a": {}}, "relations": ("a <= kind",)}, "categorical column 'kind'"),
        ({"columns": {"a": {}}, "eps": 20}, "not meant in the columns' own units"),
    ],
)
def test_a_threat_that_does_not_fit_the_table_is_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ParamsError, match=message):
        region.build(threat(**changes), SPEC)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eps": 8}, "8/255"),
        ({"norm": "L2", "eps": 4}, "covers every image"),
        ({"columns": {"a": {}}}, "for tables"),
    ],
)
def test_a_threat_that_does_not_fit_images_is_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ParamsError, match=message):
        region.build(threat(**changes), IMAGES)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_images_are_brought_back_into_ball_and_pixel_range(norm: str) -> None:
    allowed = region.build(threat(norm=norm, eps=0.3), IMAGES)
    clean = torch.rand(50, 1, 4, 4, generator=generator())
    perturbed = clean + torch.randn(50, 1, 4, 4, generator=generator(1))
    assert not allowed.admits(perturbed, clean).any()
    for moved in (allowed.repair(perturbed, clean), allowed.start(clean, generator())):
        assert allowed.admits(moved, clean).all()
        assert moved.min() >= 0
        assert moved.max() <= 1
        assert not torch.equal(moved, clean)


def test_an_image_that_is_not_a_number_becomes_its_original() -> None:
    allowed = ImageRegion("Linf", 0.1)
    clean = torch.full((2, 1, 2, 2), 0.5)
    broken = clean.clone()
    broken[0, 0, 0, 0] = torch.nan
    broken[1] += 0.05
    repaired = allowed.repair(broken, clean)
    assert torch.equal(repaired[0], clean[0])
    assert torch.equal(repaired[1], broken[1])
