"""Categories that an attacker can switch: what is admitted, and that searches find the switch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from hardgate import region
from hardgate.attacks import Attack
from hardgate.certification.proofs import Bounding
from hardgate.errors import ContractError, ParamsError
from hardgate.records import Column, TableInput
from hardgate.region import TableRegion
from hardgate.threat import Threat


def column(name: str, *categories: str) -> Column:
    kind = "categorical" if categories else "real"
    numbers = {"mean": 0.0, "scale": 1.0, "low": -9.0, "high": 9.0}
    return Column.model_validate({"name": name, "type": kind, "categories": categories, **numbers})


TABLE = TableInput(
    kind="table",
    columns=(column("debt"), column("job", "none", "part", "full"), column("flat", "rent", "own")),
    classes=("no", "yes"),
)
COLUMNS: dict[str, Any] = {"debt": {}, "job": {"to": ["part"]}, "flat": {"to": ["rent", "own"]}}
SEARCHES = (
    {"name": "constrained-search", "share": 1.0},
    {
        "name": "constrained-relay",
        "step_size": 0.1,
        "steps": 10,
        "check_every": 5,
        "queries": 20,
        "share": 1.0,
        "rounds": 2,
    },
)


def threat(**changes: Any) -> Threat:
    plain = {"norm": "Linf", "eps": 0.5, "access": "white-box", "queries": 60, "switches": 1}
    return Threat.model_validate({**plain, "columns": COLUMNS, **changes})


def around(**changes: Any) -> TableRegion:
    built = region.build(threat(**changes), TABLE)
    assert isinstance(built, TableRegion)
    return built


def rows(*cells: tuple[float, float, float]) -> Tensor:
    return torch.tensor(cells)


CLEAN = rows((0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("row", "switches", "admitted"),
    [
        ((0.0, 1.0, 0.0), 1, True),
        ((0.5, 0.0, 1.0), 1, True),
        ((0.0, 2.0, 0.0), 1, False),  # full is not among those it can be switched to
        ((0.0, 0.5, 0.0), 1, False),  # no category
        ((0.0, -1.0, 0.0), 1, False),  # a gap is none
        ((0.0, 7.0, 0.0), 1, False),
        ((0.0, torch.nan, 0.0), 1, False),
        ((0.0, 1.0, 1.0), 1, False),  # one too many
        ((0.0, 1.0, 1.0), 2, True),
    ],
)
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_only_so_many_columns_switch_and_only_to_what_is_named(
    row: tuple[float, float, float], switches: int, admitted: bool, norm: str
) -> None:
    allowed = around(switches=switches, norm=norm)
    assert allowed.admits(rows(row), CLEAN).item() is admitted
    repaired = allowed.repair(rows(row), CLEAN)
    assert bool(allowed.admits(repaired, CLEAN))
    assert torch.equal(repaired, rows(row)) is admitted


def test_a_missing_category_stays_missing() -> None:
    clean = rows((0.0, -1.0, 0.0))
    assert not around().admits(rows((0.0, 1.0, 0.0)), clean).item()


class OnlyByFlat(nn.Module):
    """Says yes to owners, whatever their debt."""

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.stack([-inputs[:, 2], inputs[:, 2] - 0.5], dim=1)


@pytest.mark.parametrize("settings", SEARCHES, ids=lambda settings: str(settings["name"]))
def test_a_search_finds_the_category_that_decides(settings: dict[str, Any]) -> None:
    search = TypeAdapter(Attack).validate_python(settings)
    search.check(TABLE, threat())
    clean = rows((0.0, 0.0, 0.0), (1.0, 2.0, 0.0), (0.3, 1.0, 1.0))
    labels = torch.tensor([0, 0, 1])
    generator = torch.Generator().manual_seed(0)
    found = search.perturb(OnlyByFlat(), clean, labels, threat(), around(), generator=generator)
    assert bool(around().admits(found, clean).all())
    assert found[:, 2].tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"debt": {}, "job": {}}, "name in threat.columns.job.to what it can be switched to"),
        ({"debt": {}, "job": {"to": ["half"]}}, "'half' is no category of the column; it has none"),
        ({"debt": {"to": ["part"]}}, r"threat.columns.debt.to: the column holds numbers"),
        ({"job": {"to": ["part"]}}, "no column of numbers can move"),
    ],
)
def test_a_threat_that_does_not_fit_is_refused(columns: dict[str, Any], message: str) -> None:
    switches = 1 if any("to" in freedom for freedom in columns.values()) else None
    with pytest.raises(ParamsError, match=message):
        around(columns=columns, switches=switches)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"switches": None}, "switches is missing"),
        ({"columns": {"debt": {}}}, "there is no column with to and no one-hot block"),
        ({"one_hot": [{"columns": ["a", "a"], "to": ["a"]}]}, "names a column twice"),
        ({"one_hot": [{"columns": ["a", "b"], "to": ["c"]}]}, "to names c, which the block"),
        ({"one_hot": [{"columns": ["a"], "to": ["a"]}]}, "at least 2 items"),
        ({"columns": {"job": {"to": ["part"], "integer": True}}}, "to is for categories"),
    ],
)
def test_a_section_that_contradicts_itself_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        threat(**changes)


def test_nothing_is_proven_about_categories() -> None:
    with pytest.raises(ContractError, match="no box holds categories"):
        around().box(CLEAN)
    with pytest.raises(ParamsError, match="bounds hold numbers"):
        Bounding(method="ibp", samples=9).check(nn.Linear(3, 2), threat())


def cell(name: str, **changes: Any) -> Column:
    plain = {"name": name, "type": "integer", "mean": 0.3, "scale": 0.5, "low": 0.0, "high": 1.0}
    return Column.model_validate(plain | changes)


BLOCKS = TableInput(
    kind="table",
    columns=(
        column("debt"),
        *(cell(name) for name in ("north", "south", "west")),
        column("flat", "rent", "own"),
        *(cell(name) for name in ("new", "old")),
    ),
    classes=("no", "yes"),
)
ONE_HOT: list[dict[str, Any]] = [
    {"columns": ["north", "south", "west"], "to": ["south", "west"]},
    {"columns": ["new", "old"], "to": ["new", "old"]},
]


def among_blocks(switches: int = 1, **changes: Any) -> TableRegion:
    plain: dict[str, Any] = {"columns": {"debt": {}, "flat": {"to": ["own"]}}, "one_hot": ONE_HOT}
    built = region.build(threat(switches=switches, **plain | changes), BLOCKS)
    assert isinstance(built, TableRegion)
    return built


NORTHERN = torch.tensor([[0.0, 1, 0, 0, 0, 1, 0]])


@pytest.mark.parametrize(
    ("row", "switches", "admitted"),
    [
        ((0.0, 0, 1, 0, 0, 1, 0), 1, True),
        ((0.5, 0, 0, 1, 0, 1, 0), 1, True),
        ((0.0, 0, 0, 0, 0, 1, 0), 1, False),  # nowhere
        ((0.0, 1, 1, 0, 0, 1, 0), 1, False),  # in two places
        ((0.0, 0.5, 0.5, 0, 0, 1, 0), 1, False),
        ((0.0, 0, 1, 0, 0, 0, 1), 1, False),  # one too many
        ((0.0, 0, 1, 0, 0, 0, 1), 2, True),
        ((0.0, 0, 1, 0, 1, 1, 0), 1, False),  # coded and one-hot count together
        ((0.0, 0, 1, 0, 1, 0, 1), 3, True),
        ((0.0, torch.nan, 1, 0, 0, 1, 0), 1, False),
    ],
)
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_the_one_of_a_block_moves_whole_and_not_too_often(
    row: tuple[float, ...], switches: int, admitted: bool, norm: str
) -> None:
    allowed, moved = among_blocks(switches, norm=norm), torch.tensor([row])
    assert allowed.admits(moved, NORTHERN).item() is admitted
    repaired = allowed.repair(moved, NORTHERN)
    assert bool(allowed.admits(repaired, NORTHERN))
    assert torch.equal(repaired, moved) is admitted


def test_the_one_does_not_move_to_what_is_not_named_and_a_row_without_one_stays() -> None:
    western = torch.tensor([[0.0, 0, 0, 1, 0, 1, 0]])
    assert not among_blocks().admits(NORTHERN, western).item()  # back to north
    nowhere = torch.tensor([[0.0, 0, 0, 0, 0, 1, 0]])
    assert not among_blocks().admits(western, nowhere).item()
    assert among_blocks().admits(nowhere, nowhere).item()


class OnlyByWest(nn.Module):
    """Says yes in the west, and asks once more of those who are old."""

    def forward(self, inputs: Tensor) -> Tensor:
        west = inputs[:, 3] * inputs[:, 6]
        return torch.stack([-west, west - 0.5], dim=1)


@pytest.mark.parametrize("settings", SEARCHES, ids=lambda settings: str(settings["name"]))
def test_a_search_moves_the_ones_that_only_together_decide(settings: dict[str, Any]) -> None:
    more = {"queries": 150} if "queries" in settings else {}
    search = TypeAdapter(Attack).validate_python(settings | more)
    clean = NORTHERN.repeat(4, 1)
    clean[1, 0] = 3.0
    clean[2] = torch.tensor([0.0, 0, 0, 0, 0, 1, 0])  # from nowhere there is no way
    section = threat(
        columns={"debt": {}, "flat": {"to": ["own"]}}, one_hot=ONE_HOT, switches=2, queries=200
    )
    found = search.perturb(
        OnlyByWest(),
        clean,
        torch.zeros(4, dtype=torch.long),
        section,
        among_blocks(2),
        generator=torch.Generator().manual_seed(0),
    )
    assert bool(among_blocks(2).admits(found, clean).all())
    assert found[:, 3].tolist() == [1, 1, 0, 1]
    assert found[:, 6].tolist() == [1, 1, 0, 1]


@given(st.data())
def test_what_is_put_is_always_within_the_count(data: st.DataObject) -> None:
    switches = data.draw(st.integers(1, 3))
    choices = among_blocks(switches).choices
    rows_ = NORTHERN
    for option in data.draw(st.lists(st.integers(0, len(choices) - 1), min_size=1, max_size=6)):
        rows_ = choices.put(rows_, NORTHERN, torch.tensor([option]))
        assert bool(among_blocks(switches).admits(rows_, NORTHERN))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (["north", "east"], "no column 'east'"),
        (["north", "debt"], "debt also stands in threat.columns"),
        (["north", "flat"], "flat also stands in threat.columns"),
        (["new", "north"], "north also stands in threat.one_hot.0"),
        (["wide", "other"], "wide is integer and runs from 0 to 2; the columns of a one-hot"),
        (["fixed", "other"], "fixed is immutable or monotone"),
        (["south", "other"], "south also stands in the relation"),
    ],
)
def test_a_block_that_does_not_fit_is_refused(block: list[str], message: str) -> None:
    spec = BLOCKS.model_copy(
        update={
            "columns": (
                *BLOCKS.columns,
                cell("wide", high=2.0),
                cell("fixed", immutable=True),
                cell("other"),
            )
        }
    )
    first = {"columns": ["north", "west"], "to": ["west"]}
    section = threat(
        columns={"debt": {}, "flat": {"to": ["own"]}},
        one_hot=[first, {"columns": block, "to": block}]
        if "new" in block
        else [{"columns": block, "to": block}],
        relations=["south <= 1 + debt"],
    )
    with pytest.raises(ParamsError, match=message):
        region.build(section, spec)
