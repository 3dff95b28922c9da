"""The risk as a whole, and what it says of columns that a model does not use."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from hardgate import measurements
from hardgate.datasets import Raw
from hardgate.errors import ParamsError
from hardgate.gates.personal_data import PersonalDataGate
from hardgate.records import Column, ColumnType, ImageInput, Measurement, TableInput, Verdict
from hardgate.risks import PersonalData
from hardgate.threat import Threat

SPEC = TableInput(
    kind="table",
    columns=tuple(
        Column(name=name, type=ColumnType.REAL, mean=0, scale=1, low=-9, high=9) for name in "abcd"
    ),
    classes=("no", "yes"),
)
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=9, columns={"a": {}})
RISK = PersonalData(name="personal-data", values=100, shuffles=3, tolerance=0.02)
GATE = PersonalDataGate(kind="personal_data", min_samples=100)
ROWS = 600


class Scorer(nn.Module):
    """Asks ``a``; of the twins ``b`` and ``c`` it takes the larger; ``d`` it does not look at."""

    def forward(self, inputs: Tensor) -> Tensor:
        score = 2 * inputs[:, 0] + torch.maximum(inputs[:, 1], inputs[:, 2])
        return torch.stack([-score, score], dim=1)


@pytest.fixture
def measured(subject_of: Any, origin_of: Any) -> Any:
    def measure(**columns: list[Any]) -> dict[str, Measurement]:
        inputs = torch.randn(2 * ROWS, 4, generator=torch.Generator().manual_seed(1))
        inputs[:, 2] = inputs[:, 1]
        labels = (2 * inputs[:, 0] + inputs[:, 1] > 0).long()
        subject = subject_of(Scorer(), SPEC, THREAT, inputs, labels)
        frame = pd.DataFrame({"label": ["no", "yes"] * (ROWS // 2)} | columns)
        raw = Raw(frame=frame, files=(), inputs=tuple(columns), target="label")
        return RISK.measure(
            subject, replace(origin_of(SimpleNamespace(), subject), raw=lambda: raw)
        )

    return measure


def test_a_table_of_people_is_refused_and_its_columns_are_named(measured: Any) -> None:
    found = measured(who=["Mary Smith", "Hans Schmidt", "Luc Dubois"] * 200, amount=[1.5] * ROWS)
    assert found[measurements.COLUMNS_FOUND].value == 1
    assert found[measurements.personal("who", "PERSON")].value == 1
    assert GATE.judge(found).verdict is Verdict.FAILED


def test_a_clean_table_passes(measured: Any) -> None:
    found = measured(kind=["a", "b", "c"] * 200, amount=[1.5] * ROWS)
    assert found[measurements.COLUMNS_SCANNED].value == 3
    assert GATE.judge(found).verdict is Verdict.PASSED


def test_what_was_not_looked_through_is_unmeasured(measured: Any) -> None:
    found = measured(amount=[1.5] * ROWS)
    found[measurements.COLUMNS_SCANNED] = found[measurements.COLUMNS_FOUND]
    assert GATE.judge(found).verdict is Verdict.UNMEASURED


def test_only_what_can_be_left_out_together_is_called_needless(measured: Any) -> None:
    found = measured(amount=[1.5] * ROWS)
    kinds = {
        name.split("/")[2]: name.split("/")[1]
        for name in found
        if "/need" in name
        if name.count("/") == 2
    }
    assert kinds["d"] == "needless"
    assert found[measurements.shuffled("d", needless=True)].value == 0
    assert found[measurements.shuffled("a", needless=False)].lower > 0.05
    assert {kinds["b"], kinds["c"]} != {"needless"}
    assert found[measurements.NEEDLESS_TOGETHER].upper <= RISK.tolerance


def test_every_number_has_words_of_its_own(measured: Any) -> None:
    found = measured(who=["Mary Smith", "Hans Schmidt", "Luc Dubois"] * 200)
    assert len({RISK.said(name) for name in found}) == len(found)
    assert RISK.said("personal-data/found/who/credit_card").startswith("who: ")


def test_images_and_half_settings_are_refused() -> None:
    with pytest.raises(ParamsError, match="the data are images"):
        RISK.check(
            ImageInput(
                kind="images", shape=(1, 4, 4), classes=("a", "b"), mean=(0.5,), scale=(0.2,)
            ),
            THREAT,
        )
    for changed in (
        {"k": 5},
        {"quasi_identifiers": ("a",)},
        {"quasi_identifiers": ("a", "a"), "k": 2, "l": 2},
    ):
        with pytest.raises(ValidationError, match="quasi_identifiers"):
            PersonalData.model_validate(RISK.model_dump() | changed)
