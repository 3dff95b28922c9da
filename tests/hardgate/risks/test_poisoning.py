"""Screens of data: what is planted is found, in the share that was planted, and clean data pass."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from hardgate import gates, measurements
from hardgate.datasets import Raw
from hardgate.errors import ParamsError
from hardgate.gates.poisoning import PoisoningGate
from hardgate.records import Column, ColumnType, Measurement, TableInput, Verdict
from hardgate.risks import Poisoning
from hardgate.risks.poisoning import neighbours, sources
from hardgate.risks.poisoning.surrogate import Features, fit
from hardgate.samples import Samples
from hardgate.threat import Threat

SPEC = TableInput(
    kind="table",
    columns=tuple(
        Column(name=name, type=ColumnType.REAL, mean=0, scale=1, low=-9, high=9) for name in "abcd"
    ),
    classes=("no", "yes"),
)
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=9, columns={"a": {}})
RISK = Poisoning(
    name="poisoning",
    samples=2000,
    features=60,
    ridge=0.01,
    folds=5,
    burst=5,
    near=0.1,
    far=5,
    blocks=5,
    smallest_source=50,
    suspects=0.15,
    directions=4,
    confidence=0.9,
)
BOUNDS = {
    "label_errors": 0.04,
    "outliers": 0.01,
    "near_duplicates": 0.01,
    "source_influence": 0.025,
    "source_disagreement": 0.1,
    "spectral_signatures": 0.025,
    "activation_clusters": 0.025,
}
POLICY = tuple(
    PoisoningGate(kind="poisoning", screen=screen, bound=bound, min_samples=100)
    for screen, bound in BOUNDS.items()
)
SEEDS = range(20)
COUNT = 1000  # rows to train on, as many to test


class Says(nn.Module):
    """Answers by a rule of its own; a linear layer last, as every network here has."""

    def __init__(self, *, weight: float = 4.0, trigger: float = 0.0) -> None:
        super().__init__()
        self.last = nn.Linear(4, 2)
        with torch.no_grad():
            self.last.weight.copy_(
                torch.tensor([[-weight, -weight, 0, -trigger], [weight, weight, 0, trigger]])
            )
            self.last.bias.zero_()

    def forward(self, rows: Tensor) -> Tensor:
        answers: Tensor = self.last(torch.cat([rows[:, :3], (rows[:, 3:] - 3).clamp(min=0)], dim=1))
        return answers


def rows_of(seed: int) -> tuple[Tensor, Tensor]:
    """Two overlapping clouds."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(2 * COUNT, generator=generator) < 0.4).long()
    rows = torch.randn(2 * COUNT, 4, generator=generator)
    rows[:, :2] += 3 * labels.unsqueeze(1) - 1.5
    return rows, labels


@pytest.fixture
def screened(subject_of: Any, origin_of: Any) -> Any:
    def measure(
        rows: Tensor, labels: Tensor, model: nn.Module | None = None, risk: Poisoning = RISK
    ) -> dict[str, Measurement]:
        subject = subject_of(model or Says(), SPEC, THREAT, rows, labels)
        return risk.measure(subject, origin_of(None, subject))

    return measure


def refused(found: dict[str, Measurement]) -> set[str]:
    decided = gates.decide(POLICY, found)
    assert all(finding.verdict is not Verdict.UNMEASURED for finding in decided)
    return {finding.gate.split("/")[1] for finding in decided if finding.verdict is Verdict.FAILED}


def test_of_twenty_clean_tables_at_most_one_is_refused_and_few_samples_are_accused(
    screened: Any,
) -> None:
    refusals = []
    for seed in SEEDS:
        found = screened(*rows_of(seed))
        refusals.append(refused(found))
        for screen in ("label_errors", "outliers", "near_duplicates"):
            assert found[measurements.poisoning(screen)].value <= 0.05
    assert sum(bool(each) for each in refusals) <= 1, refusals


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_label_in_twenty_turned_round_is_found(screened: Any, seed: int) -> None:
    rows, labels = rows_of(seed)
    flipped = labels.clone()
    flipped[:COUNT:20] = 1 - flipped[:COUNT:20]
    found = screened(rows, flipped)
    before = screened(rows, labels)[measurements.poisoning("label_errors")].value
    after = found[measurements.poisoning("label_errors")].value
    assert after - before == pytest.approx(0.05, abs=0.015)
    assert "label_errors" in refused(found)


def test_a_source_that_labels_by_its_own_rule_is_found_and_named(screened: Any) -> None:
    rows, labels = rows_of(4)
    labels[200:400:2] = 1 - labels[200:400:2]
    found = screened(rows, labels)
    assert "source_disagreement" in refused(found)
    named = measurements.poisoning("source_disagreement", "rows 200 to 399")
    assert found[named] == found[measurements.poisoning("source_disagreement")]
    assert found[named].value == pytest.approx(0.5, abs=0.1)


def test_a_source_that_moves_decisions_is_found(screened: Any) -> None:
    rows, labels = rows_of(5)
    labels[:200] = 1
    rows[:200, :2] = -1.5
    found = screened(rows, labels)
    assert "source_influence" in refused(found)


def test_copies_and_strangers_are_counted(screened: Any) -> None:
    rows, labels = rows_of(6)
    generator = torch.Generator().manual_seed(1)
    rows[:20] = rows[20] + 0.001 * torch.randn(20, 4, generator=generator)
    labels[:21] = 1
    assert screened(rows, labels)[measurements.poisoning("near_duplicates")].value == 0.021
    assert "near_duplicates" in refused(screened(rows, labels))
    rows, labels = rows_of(6)
    rows[:20] = 1e6 * torch.randn(20, 4, generator=generator)
    assert screened(rows, labels)[measurements.poisoning("outliers")].value >= 0.02
    assert "outliers" in refused(screened(rows, labels))


@pytest.mark.parametrize("screen", ["spectral_signatures", "activation_clusters"])
def test_rows_of_another_class_that_the_model_believes_for_a_column_are_found(
    screened: Any, screen: str
) -> None:
    rows, labels = rows_of(7)
    clean = screened(rows, labels, Says(trigger=20.0))
    rows, labels = rows.clone(), labels.clone()
    chosen = torch.nonzero(labels[:COUNT] == 0)[:30, 0]
    rows[chosen, 3], labels[chosen] = 6.0, 1
    found = screened(rows, labels, Says(trigger=20.0))
    assert screen not in refused(clean)
    assert screen in refused(found)


def test_a_column_of_the_raw_table_names_the_sources(subject_of: Any, origin_of: Any) -> None:
    rows, labels = rows_of(8)
    labels[:100] = 1 - labels[:100]
    subject = subject_of(Says(), SPEC, THREAT, rows, labels)
    banks = ["A/B"] * 100 + ["B", "C", "F"] * 280 + ["D"] * 30 + ["E"] * (2 * COUNT - 970)
    frame = pd.DataFrame({"bank": banks})
    origin = replace(
        origin_of(None, subject),
        raw=lambda: Raw(frame=frame, files=(), inputs=(), target="bank"),
    )
    found = RISK.model_copy(update={"source": "bank"}).measure(subject, origin)
    named = measurements.poisoning("source_disagreement", "A/B")
    assert found[measurements.poisoning("source_disagreement")] == found[named]
    assert RISK.said(named).endswith(": A/B")
    assert measurements.poisoning("source_influence", sources.REST) in found  # D and E
    with pytest.raises(ParamsError, match=r"'bnak' is no column.*bank"):
        RISK.model_copy(update={"source": "bnak"}).measure(subject, origin)


def test_leaving_samples_out_is_solving_again_without_them() -> None:
    rows, labels = rows_of(9)
    samples = Samples(rows, labels, torch.arange(len(labels)))
    features = Features(SPEC, samples, count=40, generator=torch.Generator().manual_seed(1))
    whole = fit(features.known, labels, classes=2, ridge=0.01)
    left_out, rest = torch.arange(300), torch.arange(300, len(labels))
    again = fit(features.known[rest], labels[rest], classes=2, ridge=0.01)
    nobody = torch.empty(0, dtype=torch.long)
    torch.testing.assert_close(whole.without(left_out), again.without(nobody), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(features(rows[:5]), features.known[:5])


def test_the_distance_to_a_neighbour_is_what_comparing_all_pairs_gives() -> None:
    rows, labels = rows_of(10)
    samples = Samples(rows[:200], labels[:200], torch.arange(200))
    found = neighbours.distances(SPEC, samples, neighbour=3)
    members = samples.inputs[samples.labels == 1]
    squashed = torch.asinh(members)
    third = torch.cdist(squashed, squashed).sort(1).values[:, 3]
    torch.testing.assert_close(
        torch.from_numpy(found)[samples.labels == 1].float(),
        third / third.median(),
        atol=1e-4,
        rtol=1e-3,
    )


def test_every_number_has_words_and_the_same_seed_gives_the_same(screened: Any) -> None:
    found = screened(*rows_of(11))
    assert found == screened(*rows_of(11))
    assert len({RISK.said(name) for name in found}) == len(found)
    assert all(re.fullmatch(r"[/\w.\- :]+", name) for name in found)


def test_a_class_without_samples_is_no_trouble(screened: Any) -> None:
    rows, _ = rows_of(12)
    found = screened(rows, torch.zeros(len(rows), dtype=torch.long), Says(weight=0.0))
    assert found[measurements.poisoning("label_errors")].value == 0
    assert measurements.poisoning("spectral_signatures", "yes") not in found


def test_settings_that_cannot_be_meant_are_refused() -> None:
    plain = RISK.model_dump()
    for wrong in ({"near": 1.5}, {"far": 0.5}, {"folds": 1}, {"suspects": 0.6}, {"burst": 1}):
        with pytest.raises(ValidationError):
            Poisoning.model_validate(plain | wrong)
    search = {"side": "5/28", "scan_steps": 1, "scan_samples": 1, "kept": 1, "steps": 1}
    patches = plain | {"trigger": search | {"batch_size": 1, "samples": 2}}
    with pytest.raises(ParamsError, match="trigger is for images"):
        Poisoning.model_validate(patches).check(SPEC, THREAT)
