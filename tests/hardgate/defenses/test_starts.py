from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hardgate import region
from hardgate.defenses.starts import Starts
from hardgate.records import Column, ColumnType, ImageInput, TableInput
from hardgate.region import Region
from hardgate.threat import Freedom, Threat

IMAGES = ImageInput(kind="images", shape=(1, 1, 2), classes=("a", "b"), mean=(0.0,), scale=(1.0,))
COLUMN = {"type": ColumnType.REAL, "mean": 5.0, "scale": 2.0, "low": -3.0, "high": 30.0}
TABLE = TableInput(
    kind="table",
    columns=(Column(name="free", **COLUMN), Column(name="fixed", **COLUMN)),
    classes=("no", "yes"),
)


def pixels() -> Region:
    return region.build(Threat(norm="Linf", eps=0.2, access="white-box", queries=1), IMAGES)


def columns() -> Region:
    threat = Threat(
        norm="Linf", eps=0.5, access="white-box", queries=1, columns={"free": Freedom()}
    )
    return region.build(threat, TABLE)


@pytest.mark.parametrize(
    ("around", "inputs", "found"),
    [
        (pixels(), torch.tensor([[[[0.5, 0.5]]]]), torch.tensor([[[[0.6, 0.35]]]])),
        (columns(), torch.tensor([[4.0, 7.0]]), torch.tensor([[4.75, 7.0]])),
    ],
    ids=["pixels", "columns of which one cannot move"],
)
def test_an_attack_goes_on_from_where_it_ended(
    around: Region, inputs: Tensor, found: Tensor
) -> None:
    carried = Starts(inputs).of(torch.tensor([0]), fresh=False)
    carried.keep(found, inputs, around)
    start = carried.begin(inputs, around)
    assert start is not None
    assert torch.allclose(start, found, atol=1e-3)
    wider = carried.begin(inputs, around.scaled(0.5))  # the same share of another radius
    assert wider is not None
    assert torch.allclose(wider - inputs, (found - inputs) / 2, atol=1e-3)


def test_a_cell_that_is_missing_stays_missing_and_moves_nothing_else() -> None:
    inputs = torch.tensor([[float("nan"), 7.0]])
    starts = Starts(inputs)
    carried = starts.of(torch.tensor([0]), fresh=False)
    carried.keep(inputs.clone(), inputs, columns())
    assert torch.equal(starts.shares, torch.zeros_like(starts.shares))
    start = carried.begin(inputs, columns())
    assert start is not None
    assert start.isnan().tolist() == [[True, False]]


def test_a_fresh_start_is_left_to_the_region() -> None:
    inputs = torch.full((3, 1, 1, 2), 0.5)
    assert Starts(inputs).of(torch.tensor([1]), fresh=True).begin(inputs[:1], pixels()) is None


def test_each_input_has_its_own_start() -> None:
    inputs = torch.full((3, 1, 1, 2), 0.5)
    starts = Starts(inputs)
    starts.of(torch.tensor([2, 0]), fresh=True).keep(
        torch.tensor([[[[0.6, 0.6]]], [[[0.4, 0.4]]]]), inputs[:2], pixels()
    )
    assert starts.shares[:, 0, 0, 0].tolist() == pytest.approx([-0.5, 0, 0.5], abs=1e-3)
