"""The newest rows: poison among them is caught, more of the same and a mild drift are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from hardgate import measurements, quarantine
from hardgate.architectures import MLP
from hardgate.datasets import Raw
from hardgate.errors import ParamsError
from hardgate.gates.newest_slice import NewestSliceGate
from hardgate.optimisation import Optimiser
from hardgate.records import Column, ColumnType, FileRecord, Measurement, TableInput, Verdict
from hardgate.risks import NewestSlice
from hardgate.samples import Samples
from hardgate.schedules import OneCycle
from hardgate.subject import Subject
from hardgate.threat import Threat

SPEC = TableInput(
    kind="table",
    columns=tuple(
        Column(name=name, type=ColumnType.REAL, mean=0, scale=1, low=-9, high=9) for name in "ab"
    ),
    classes=("no", "yes"),
)
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=9, columns={"a": {}})
RISK = NewestSlice(
    name="newest_slice", share=0.1, slices=6, rows=600, epochs=6, batch_size=50, samples=400
)
ROWS, SLICE = 1000, 100  # training rows, and the newest of them
TRAINING = SimpleNamespace(
    architecture=MLP(name="mlp", hidden=(8,)),
    optimiser=Optimiser(name="adam", rate=0.05),
    schedule=OneCycle(name="one-cycle", peak=0.3),
)
GATES = (
    NewestSliceGate(kind="newest_slice", by="contradiction", bound=0.2, min_samples=50),
    NewestSliceGate(kind="newest_slice", by="lean", bound=0.2, min_samples=50),
    NewestSliceGate(kind="newest_slice", by="influence", bound=0.06, min_samples=50),
)
SEEDS = range(5)


class Poison(Protocol):
    """Changes the labels, and may change the inputs, of the newest rows."""

    def __call__(self, inputs: Tensor, labels: Tensor) -> Tensor: ...


def clean(inputs: Tensor, labels: Tensor) -> Tensor:
    return labels


def flipped(inputs: Tensor, labels: Tensor) -> Tensor:
    return 1 - labels


def half_flipped(inputs: Tensor, labels: Tensor) -> Tensor:
    return torch.where(torch.arange(len(labels)) % 2 == 0, 1 - labels, labels)


def one_group_relabelled(inputs: Tensor, labels: Tensor) -> Tensor:
    return torch.where(inputs[:, 1] > 0.3, 1, labels)


def made_likely(inputs: Tensor, labels: Tensor) -> Tensor:
    return torch.zeros_like(labels)


@pytest.fixture
def subject_with(subject_of: Any) -> Any:
    """Make rows that a straight line divides up to some noise, the newest ones of train poisoned.

    The held-out and test rows are clean; rows of the raw file are in the order of arrival.
    """

    def make(poison: Poison, *, seed: int, drift: float = 0.0, slope: float = 6.0) -> Subject:
        draws = torch.Generator().manual_seed(seed)
        inputs = torch.randn(2 * ROWS, 2, generator=draws)
        inputs[ROWS - SLICE : ROWS] += drift
        chance = torch.sigmoid(slope * inputs[:, 0] - 1)
        labels = (torch.rand(2 * ROWS, generator=draws) < chance).long()
        newest = slice(ROWS - SLICE, ROWS)
        labels[newest] = poison(inputs[newest], labels[newest])
        made = subject_of(nn.Identity(), SPEC, THREAT, inputs, labels)
        return replace(made, seed=seed)

    return make


def refused(found: dict[str, Measurement]) -> list[str]:
    return [gate.by for gate in GATES if gate.judge(found).verdict is not Verdict.PASSED]


@pytest.fixture
def measured(subject_with: Any, origin_of: Any) -> Any:
    def measure(poison: Poison, **made: float) -> dict[str, Measurement]:
        subject = subject_with(poison, **made)
        return RISK.measure(subject, origin_of(TRAINING, subject))

    return measure


@pytest.mark.parametrize("seed", SEEDS)
def test_more_of_the_same_passes(measured: Any, seed: int) -> None:
    assert refused(measured(clean, seed=seed)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_an_honest_slice_from_elsewhere_passes(measured: Any, seed: int) -> None:
    assert refused(measured(clean, seed=seed, drift=0.5)) == []


@pytest.mark.parametrize(
    ("poison", "by"),
    [
        (flipped, {"contradiction", "influence"}),
        (half_flipped, {"contradiction"}),
        (one_group_relabelled, {"contradiction", "lean"}),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_poisoned_slice_is_refused_by_what_it_does(
    measured: Any, poison: Poison, by: set[str], seed: int
) -> None:
    assert by <= set(refused(measured(poison, seed=seed)))


def test_what_contradicts_nobody_leans(measured: Any) -> None:
    assert refused(measured(clean, seed=0, slope=1.0)) == []
    found = measured(made_likely, seed=0, slope=1.0)
    assert found[measurements.newest_slice("contradiction")].upper < 0
    assert "lean" in refused(found)


def test_a_clean_slice_is_clear_of_zero_no_more_often_than_the_intervals_say(
    subject_with: Any, origin_of: Any
) -> None:
    quick = RISK.model_copy(update={"epochs": 3})
    clear = 0
    for seed in range(25):
        subject = subject_with(clean, seed=seed)
        found = quick.measure(subject, origin_of(TRAINING, subject))
        clear += sum(
            found[measurements.newest_slice(by)].lower > 0
            for by in ("contradiction", "lean", "influence")
        )
    assert clear <= 8  # 25 times (0.025 + 0.05 + 0.025) are 2.5


def test_no_shadow_and_no_other_slice_holds_a_newest_row(subject_with: Any) -> None:
    train = subject_with(clean, seed=1).train
    shuffled = train.take(torch.randperm(len(train), generator=torch.Generator().manual_seed(4)))
    parts = RISK.divide(shuffled, seed=3)
    newest, *others = [set(each.rows.tolist()) for each in parts.slices]
    assert newest == set(range(ROWS - SLICE, ROWS))
    assert len(others) == RISK.slices
    rest = [row for each in (*others, set(parts.base.rows.tolist())) for row in each]
    assert len(rest) == len(set(rest)) == ROWS - SLICE
    assert not newest & set(rest)


def test_the_same_seed_gives_the_same_and_every_number_has_words(measured: Any) -> None:
    found = measured(half_flipped, seed=2)
    assert found == measured(half_flipped, seed=2)
    assert len({RISK.said(name) for name in found}) == len(found)


def test_suspects_are_listed_for_a_quarantine_least_believed_first(
    subject_with: Any, origin_of: Any, tmp_path: Path
) -> None:
    subject = subject_with(half_flipped, seed=0)
    everything = Samples(
        torch.cat([subject.train.inputs, subject.test.inputs]),
        torch.cat([subject.train.labels, subject.test.labels]),
        torch.arange(2 * ROWS),
    )
    frame = pd.DataFrame(everything.inputs.numpy(), columns=["a", "b"])
    raw = Raw(
        frame=frame.assign(y=everything.labels.numpy()),
        files=(FileRecord(path=Path("rows.csv"), sha256="0" * 64),),
        inputs=("a", "b"),
        target="y",
        given_split=np.repeat(["train", "test"], ROWS),
    )
    subject = replace(subject, held_out=subject.train.take(torch.arange(0)))
    origin = replace(origin_of(TRAINING, subject), raw=lambda: raw, results=tmp_path)
    RISK.measure(subject, origin)
    kept = quarantine.apply(raw, "newest_slice.csv", root=tmp_path)
    assert kept.aside.tolist() == list(range(ROWS - SLICE, ROWS))
    _, *lines = (tmp_path / "newest_slice.csv").read_text(encoding="utf-8").splitlines()
    first = [int(line.split(",")[0]) for line in lines[: SLICE // 4]]
    assert np.mean([row % 2 == 0 for row in first]) > 0.9  # every other one was flipped
    RISK.measure(subject_with(clean, seed=0), replace(origin, results=tmp_path / "clean"))
    assert not (tmp_path / "clean").exists()


def test_too_little_to_learn_from_or_to_judge_is_refused(subject_with: Any, origin_of: Any) -> None:
    with pytest.raises(ValidationError, match="too few are left to learn from"):
        NewestSlice.model_validate(RISK.model_dump() | {"slices": 9})
    subject = subject_with(clean, seed=0)
    with pytest.raises(ParamsError, match=r"newest_slice.share = 0.0005: of 1000 training rows"):
        RISK.model_copy(update={"share": 0.0005}).measure(subject, origin_of(TRAINING, subject))
