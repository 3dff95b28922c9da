"""Copies of models: a model that follows its labels gives nothing away, one that does not, much."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from hardgate import measurements
from hardgate.architectures import MLP
from hardgate.gates.extraction import ExtractionGate
from hardgate.records import Column, ColumnType, Measurement, TableInput, Verdict
from hardgate.risks import Extraction
from hardgate.threat import Threat

SPEC = TableInput(
    kind="table",
    columns=tuple(
        Column(name=name, type=ColumnType.REAL, mean=0, scale=1, low=-9, high=9) for name in "ab"
    ),
    classes=("no", "yes"),
)
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=9, columns={"a": {}})
RISK = Extraction(
    name="extraction",
    outputs=("labels", "scores"),
    queries=(20, 200),
    decimals=2,
    steps=150,
    batch_size=32,
    rate=0.01,
    samples=500,
)
GATE = ExtractionGate(kind="extraction", outputs="labels", queries=200, bound=0.15, min_samples=100)


class Scorer(nn.Module):
    """Weighs the two columns; the labels follow the first one alone."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weights = torch.tensor(weights)

    def forward(self, inputs: Tensor) -> Tensor:
        score = 4 * (inputs @ self.weights)
        return torch.stack([-score, score], dim=1)


@pytest.fixture
def measured(subject_of: Any, origin_of: Any) -> Any:
    def measure(*weights: float) -> dict[str, Measurement]:
        inputs = torch.randn(1000, 2, generator=torch.Generator().manual_seed(1))
        labels = (inputs[:, 0] > 0).long()
        subject = subject_of(Scorer(*weights), SPEC, THREAT, inputs, labels)
        shape = SimpleNamespace(architecture=MLP(name="mlp", hidden=(16,)))  # all a copy takes
        return RISK.measure(subject, origin_of(shape, subject))

    return measure


def test_answers_add_nothing_to_labels_that_the_model_follows(measured: Any) -> None:
    found = measured(1.0, 0.0)
    assert found[measurements.fidelity("labels", 200)].value > 0.95
    assert abs(found[measurements.extraction_gain("labels", 200)].value) < 0.05
    assert GATE.judge(found).verdict is Verdict.PASSED


def test_a_model_that_decides_unlike_its_labels_is_stolen_from_its_answers(measured: Any) -> None:
    found = measured(0.0, 1.0)
    assert found[measurements.fidelity("nothing", 200)].value < 0.65
    assert found[measurements.fidelity("labels", 200)].value > 0.9
    assert GATE.judge(found).verdict is Verdict.FAILED


def test_every_number_has_words_and_the_same_seed_gives_the_same(measured: Any) -> None:
    found = measured(0.5, 0.5)
    assert found == measured(0.5, 0.5)
    assert len({RISK.said(name) for name in found}) == len(found)


def test_an_output_or_count_named_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="names one twice"):
        Extraction.model_validate(RISK.model_dump() | {"queries": (20, 20)})
