"""The whole risk on small worlds: shifted new data are caught, those of the old kind pass."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from hardgate import measurements
from hardgate.datasets.fresh import Fresh
from hardgate.errors import DataError, ParamsError
from hardgate.gates.drift import DriftGate
from hardgate.gates.estimated_quality import EstimatedQualityGate
from hardgate.records import Column, ColumnType, ImageInput, Measurement, TableInput, Verdict
from hardgate.risks import Drift
from hardgate.threat import Threat

NUMBERS = tuple(
    Column(name=name, type=ColumnType.REAL, mean=0, scale=1, low=-9, high=9) for name in "ab"
)
CODES = Column(
    name="c", type=ColumnType.CATEGORICAL, categories=("x", "y"), mean=0, scale=1, low=0, high=1
)
SPEC = TableInput(kind="table", columns=(*NUMBERS, CODES), classes=("no", "yes"))
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=9, columns={"a": {}})
IMAGES = ImageInput(
    kind="images", shape=(1, 8, 8), classes=("dark", "light"), mean=(0.5,), scale=(0.2,)
)
PIXELS = Threat(norm="Linf", eps=0.1, access="white-box", queries=9)
RISK = Drift(name="drift", newest=0.25, samples=2000, practical=0.1, rounds=20)
GATES = (
    DriftGate(kind="drift", by="classifier", bound=0.65, min_samples=100),
    DriftGate(kind="drift", by="columns", bound=0.25, min_samples=100),
    DriftGate(kind="drift", by="classes", bound=0.25, min_samples=100),
    EstimatedQualityGate(kind="estimated_quality", bound=0.75, min_samples=100),
)


class Scorer(nn.Module):
    """Answers by the first column, surer the further it lies from zero."""

    def forward(self, rows: Tensor) -> Tensor:
        return torch.stack([-rows[:, 0], rows[:, 0]], dim=1)


def rows(
    count: int, seed: int, *, shift: float = 0.0, spread: float = 1.5
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 3, generator=generator)
    inputs[:, 0] = inputs[:, 0] * spread + shift
    inputs[:, 2] = (inputs[:, 2] > 0).float()
    certain = torch.sigmoid(2 * inputs[:, 0])
    return inputs, (torch.rand(count, generator=generator) < certain).long()


def joined(*parts: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


@pytest.fixture
def measured(subject_of: Any) -> Any:
    """Measure a table whose last quarter, of training and test rows alike, is ``changed``."""

    def measure(seed: int, **changed: float) -> dict[str, Measurement]:
        old, new = rows(1500, seed), rows(500, seed + 500, **changed)
        more, newer = rows(1500, seed + 1000), rows(500, seed + 1500, **changed)
        subject = subject_of(Scorer(), SPEC, THREAT, *joined(old, new, more, newer))
        return RISK.measure(subject, SimpleNamespace())

    return measure


def refusing(found: dict[str, Measurement]) -> set[str]:
    return {gate.label for gate in GATES if gate.judge(found).verdict is not Verdict.PASSED}


def test_new_rows_of_the_old_kind_pass_and_raise_no_alarm(measured: Any) -> None:
    for seed in range(5):
        found = measured(seed)
        assert refusing(found) == set()
        assert found[measurements.DRIFTED].value == 0


def test_rows_that_moved_are_refused_by_column_and_classifier(measured: Any) -> None:
    found = measured(1, shift=2.0)
    assert {"drift/classifier", "drift/columns", "drift/classes"} <= refusing(found)
    assert found[measurements.DRIFTED].value == 1
    assert found[measurements.drift_effect("a")].lower > 0.3
    assert found[measurements.drift_effect("c")].lower == 0


def test_rows_on_which_the_model_is_poor_are_refused_without_a_label(measured: Any) -> None:
    found = measured(2, spread=0.2)
    assert "estimated_quality" in refusing(found)
    estimated, true = (
        found[name] for name in (measurements.ACCURACY_ESTIMATED, measurements.ACCURACY_TRUE)
    )
    assert estimated.lower <= true.value <= estimated.upper
    assert estimated.value < found[measurements.ACCURACY_OLD].lower


def test_every_number_has_words_and_the_same_seed_gives_the_same(measured: Any) -> None:
    found = measured(3)
    assert found == measured(3)
    assert len({RISK.said(name) for name in found}) == len(found)


def in_a_file(new: tuple[Tensor, Tensor], *, labelled: bool) -> SimpleNamespace:
    inputs, labels = new
    return SimpleNamespace(fresh=lambda *_: Fresh(inputs, labels if labelled else None))


def test_a_file_is_held_against_all_our_rows_with_labels_or_without(
    subject_of: Any, tmp_path: Path
) -> None:
    risk = RISK.model_copy(update={"new": "data/new.csv", "newest": None})
    subject = subject_of(Scorer(), SPEC, THREAT, *rows(2000, 1))
    flipped = rows(400, 2)[0], 1 - rows(400, 2)[1]
    blind = risk.measure(subject, in_a_file(flipped, labelled=False))
    assert measurements.ACCURACY_TRUE not in blind
    assert blind[measurements.ACCURACY_NEW].lower > 0.7  # what labels mean can turn unseen
    told = risk.measure(subject, in_a_file(flipped, labelled=True))
    assert told[measurements.ACCURACY_NEW] == told[measurements.ACCURACY_TRUE]
    assert GATES[3].judge(told).verdict is Verdict.FAILED


def test_a_handful_of_new_rows_cannot_be_compared(subject_of: Any) -> None:
    risk = RISK.model_copy(update={"new": "data/new.csv", "newest": None})
    subject = subject_of(Scorer(), SPEC, THREAT, *rows(2000, 1))
    with pytest.raises(DataError, match="at least 10 are needed"):
        risk.measure(subject, in_a_file(rows(9, 2), labelled=False))


def test_brighter_images_are_refused_and_images_of_the_old_kind_pass(subject_of: Any) -> None:
    generator = np.random.default_rng(4)
    labels = torch.from_numpy(generator.integers(0, 2, 1600))
    noise = generator.normal(0, 0.1, (1600, 1, 8, 8))
    pixels = np.clip(0.3 + 0.3 * labels.numpy()[:, None, None, None] + noise, 0, 1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 2))
    brighter = pixels.copy()
    brighter[600:800] += 0.1  # the newest quarter of either half
    brighter[1400:] += 0.1
    found = {}
    for name, shown in (("same", pixels), ("brighter", brighter)):
        images = torch.from_numpy((np.clip(shown, 0, 1) * 255).astype(np.uint8))
        found[name] = RISK.measure(
            subject_of(model, IMAGES, PIXELS, images, labels), SimpleNamespace()
        )
    by_classifier = DriftGate(kind="drift", by="classifier", bound=0.7, min_samples=100)
    assert by_classifier.judge(found["same"]).verdict is Verdict.PASSED
    assert found["same"][measurements.DRIFTED].value == 0
    assert by_classifier.judge(found["brighter"]).verdict is Verdict.FAILED
    assert found["brighter"][measurements.drift_effect("brightness")].lower > 0.2


@pytest.mark.parametrize("changed", [{"new": "data/x.csv"}, {"newest": None}])
def test_what_is_new_is_said_once(changed: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="say what is new"):
        Drift.model_validate(RISK.model_dump() | changed)


def test_a_file_that_is_not_there_is_refused_before_anything_is_trained() -> None:
    risk = RISK.model_copy(update={"new": "data/missing.csv", "newest": None})
    with pytest.raises(ParamsError, match=r"new = 'data/missing\.csv'"):
        risk.check(SPEC, THREAT)


def test_a_bound_that_guessing_meets_is_refused() -> None:
    with pytest.raises(ValidationError, match="guessing alone has"):
        DriftGate(kind="drift", by="classifier", bound=0.5, min_samples=1)
