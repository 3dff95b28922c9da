"""Categories that an attacker can switch: what is admitted, and that searches find the switch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
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
        ({"columns": {"debt": {}}}, "no column names its to"),
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
