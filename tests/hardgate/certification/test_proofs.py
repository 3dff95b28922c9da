"""What evaluation proves, what it refuses to try, and when it stops the run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from hardgate import measurements, region
from hardgate.architectures import FTTransformer
from hardgate.certification import proofs
from hardgate.certification.proofs import Certification
from hardgate.errors import IntegrityError, ParamsError
from hardgate.evidence import outcomes
from hardgate.evidence.outcomes import Answers, Outcomes
from hardgate.gates import CertifiedGate
from hardgate.records import Column, ColumnType, ImageInput, TableInput, Verdict
from hardgate.threat import Threat

SPEC = ImageInput(kind="images", shape=(1, 1, 1), classes=("a", "b"), mean=(0,), scale=(1,))
LINF = Threat(norm="Linf", eps=0.1, access="white-box", queries=1)
L2 = LINF.model_copy(update={"norm": "L2"})
VOTES = {"method": "smoothing", "samples": 9, "sigma": 0.2, "selection": 9, "draws": 500}


def section(**keys: Any) -> Any:
    return TypeAdapter(Certification).validate_python(keys)


def threshold() -> torch.nn.Module:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1, 2))
    model[1].weight.data = torch.tensor([[0.0], [10.0]])
    model[1].bias.data = torch.tensor([0.0, -5.05])
    return model


def pixels() -> tuple[torch.Tensor, torch.Tensor]:
    values = torch.arange(101) / 100
    return values.view(-1, 1, 1, 1), (values > 0.5).long()


def test_certified_accuracy_is_the_closed_form_and_what_the_gate_asks_for() -> None:
    images, labels = pixels()
    found, proven = proofs.prove(
        section(method="ibp", samples=5),
        region.build(LINF, SPEC),
        threshold(),
        images,
        labels,
        batch_size=30,
    )
    assert proven.tolist() == [abs(value - 50.5) > 10 for value in range(101)]
    measured = found[measurements.CERTIFIED_ACCURACY]
    assert (measured.samples, measured.interval) == (101, "wilson")
    assert measured.value == pytest.approx(81 / 101)
    gate = CertifiedGate(kind="certified", bound=0.7, min_samples=100)
    assert gate.judge(found).verdict is Verdict.PASSED


def test_votes_have_a_name_that_no_gate_takes_for_a_proof() -> None:
    images, labels = pixels()
    found = proofs.vote(
        section(**VOTES, alpha=0.01),
        region.build(L2, SPEC),
        threshold(),
        images[::10],
        labels[::10],
        seed=1,
        batch_size=100,
    )
    measured = found[measurements.SMOOTHED_ACCURACY]
    assert measured.samples == 11
    assert 0.6 < measured.value < 0.95  # beyond 0.1 of the threshold and its doubt
    gate = CertifiedGate(kind="certified", bound=0.1, min_samples=1)
    assert gate.judge(found).verdict is Verdict.UNMEASURED


def test_smoothing_is_refused_for_another_norm() -> None:
    with pytest.raises(ParamsError, match=r"threat\.norm is Linf; choose ibp"):
        section(**VOTES, alpha=0.01).check(threshold(), LINF)
    section(**VOTES, alpha=0.01).check(threshold(), L2)


def test_bounds_that_would_take_hours_are_refused() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
    with pytest.raises(ParamsError, match="hours for a convolutional network; choose crown-ibp"):
        section(method="crown", samples=9).check(network, LINF)
    section(method="crown", samples=9).check(network[2:], LINF)


def test_a_network_that_cannot_be_bounded_is_refused_by_name() -> None:
    numbers = {"mean": 0.0, "scale": 1.0, "low": -9.0, "high": 9.0}
    columns = (Column(name="a", type=ColumnType.REAL, **numbers),)
    table = TableInput(kind="table", columns=columns, classes=("a", "b"))
    model = FTTransformer(name="ft-transformer").build(table)
    with pytest.raises(ParamsError, match="'crown-ibp': layers of kind Tokenizer cannot be"):
        section(method="crown-ibp", samples=5).check(model, LINF)
    section(method="crown-ibp", samples=5).check(threshold(), LINF)


@pytest.mark.parametrize(
    "keys",
    [
        {"method": "ibp"},
        {"method": "magic", "samples": 5},
        {"method": "ibp", "samples": 0},
        {**VOTES},
        {**VOTES, "alpha": 0.6},
        {**VOTES, "alpha": 0.01, "draws": 0},
    ],
    ids=str,
)
def test_numbers_that_decide_have_no_default(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        section(**keys)


def gathered(*, clean: list[int], attacked: list[int], known: list[bool]) -> Outcomes:
    """Five samples of class 1."""
    labels, count = np.ones(5, np.int64), sum(known)

    def said(predictions: list[int], where: list[bool]) -> Answers:
        chosen = np.array(predictions)[np.array(where)]
        blank = np.zeros((len(chosen), 1), np.float32)
        sure = np.full((len(chosen), 2), 0.5, np.float32)
        return outcomes.answers(
            blank, predictions=chosen, probabilities=sure, labels=labels, known=np.array(where)
        )

    return Outcomes(
        index=np.arange(5),
        rows=np.arange(5),
        labels=labels,
        clean=said(clean, [True] * 5),
        attacks={"pgd": said(attacked, known)} if count else {},
    )


PROVEN = torch.tensor([True, False, True])
INDEX = torch.tensor([1, 2, 4])


def test_attacks_that_break_what_is_not_certified_are_no_contradiction() -> None:
    found = gathered(clean=[0, 1, 0, 1, 1], attacked=[0, 1, 0, 0, 1], known=[True] * 5)
    proofs.confront(PROVEN, INDEX, found)


def test_samples_that_were_not_attacked_contradict_nothing() -> None:
    known = [True, True, True, True, False]
    proofs.confront(PROVEN, INDEX, gathered(clean=[1] * 5, attacked=[0, 1, 0, 0, 0], known=known))


def test_one_certified_sample_that_an_attack_breaks_stops_the_run() -> None:
    found = gathered(clean=[1] * 5, attacked=[1, 1, 1, 1, 0], known=[True] * 5)
    with pytest.raises(
        IntegrityError, match=r"1 of 2 certified samples are broken by pgd, .* test sample 4:"
    ):
        proofs.confront(PROVEN, INDEX, found)


def test_one_certified_sample_that_is_wrong_unattacked_stops_the_run() -> None:
    found = gathered(clean=[1, 0, 1, 1, 1], attacked=[1] * 5, known=[True] * 5)
    with pytest.raises(IntegrityError, match="broken by no attack, the first is test sample 1:"):
        proofs.confront(PROVEN, INDEX, found)


@pytest.mark.parametrize("norm", ["L1", "L0"])
def test_balls_of_few_pixels_are_not_bounded_by_boxes(norm: str) -> None:
    threat = LINF.model_copy(update={"norm": norm, "eps": 1.0})
    with pytest.raises(ParamsError, match=f"the box around an {norm} ball holds nearly all"):
        section(method="ibp", samples=5).check(threshold(), threat)
    votes = {"sigma": 1, "selection": 9, "draws": 9, "alpha": 0.1}
    with pytest.raises(ParamsError, match=f"proves L2 radii and threat.norm is {norm}"):
        section(method="smoothing", samples=5, **votes).check(threshold(), threat)
