"""Proofs among the probes: planned when asked for, measured, and held against the attacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from hardgate import measurements, probes, region
from hardgate.errors import IntegrityError
from hardgate.probes import Evaluation, Found, Probe, Subject
from hardgate.records import ImageInput
from hardgate.samples import Samples
from hardgate.threat import Threat

SPEC = ImageInput(kind="images", shape=(1, 1, 1), classes=("a", "b"), mean=(0,), scale=(1,))
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=9)
PGD = {"name": "pgd", "step_size": 0.05, "steps": 5, "restarts": 1}
VOTES = {"sigma": 0.2, "selection": 9, "draws": 99, "alpha": 0.1}
NAMES = ("pgd", "clean", "certification")


def section(**changes: Any) -> Evaluation:
    plain: dict[str, Any] = {
        "samples": 101,
        "batch_size": 50,
        "attacks": [PGD, {"name": "square", "restarts": 1}],
        "curve": {"factors": [1], "attack": PGD, "samples": 9},
        "diagnostics": 9,
        "price": 9,
        "certification": {"method": "ibp", "samples": 60},
    }
    return Evaluation.model_validate({**plain, **changes})


def subject() -> Subject:
    """101 grey pixels from 0 to 1 and a model that tells them apart at 0.505."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2)).eval()
    model[1].weight.data = torch.tensor([[0.0], [10.0]])
    model[1].bias.data = torch.tensor([0.0, -5.05])
    values = torch.arange(101) / 100
    test = Samples(values.view(-1, 1, 1, 1), (values > 0.5).long(), torch.arange(101))
    return Subject(
        model=model,
        spec=SPEC,
        threat=THREAT,
        region=region.build(THREAT, SPEC),
        train=test,
        held_out=test,
        test=test,
        attacked=torch.arange(0, 101),
        batch_size=50,
        device=torch.device("cpu"),
        seed=1,
    )


def found(asked: Evaluation, about: Subject) -> dict[str, Found]:
    planned = [probe for probe in probes.plan(asked, SPEC, THREAT) if probe.name in NAMES]
    return {
        probe.name: probes.measure(
            probe,
            asked,
            about,
            None,  # type: ignore[arg-type]  nothing is trained beside it
        )
        for probe in planned
    }


def test_proofs_are_planned_only_when_asked_for() -> None:
    proof = Probe(kind="certification", name="certification")
    assert proof in probes.plan(section(), SPEC, THREAT)
    assert proof not in probes.plan(section(certification=None), SPEC, THREAT)


def test_certified_accuracy_stands_beside_robust_accuracy_and_below_it() -> None:
    asked, about = section(), subject()
    parts = found(asked, about)
    measured = probes.conclude(asked, about, probes.gather(about, parts), parts)
    certified = measured[measurements.CERTIFIED_ACCURACY]
    assert certified.samples == 60
    assert certified.value == pytest.approx((60 - 19) / 60)  # 0.41 to 0.59 are near the threshold
    assert measured[measurements.robust("pgd", "accuracy")].value >= 81 / 101


def test_an_attack_that_breaks_a_proof_stops_the_run() -> None:
    asked, about = section(), subject()
    parts = found(asked, about)
    false = Found(parts["certification"].measurements, proven=torch.ones(60, dtype=torch.bool))
    parts["certification"] = false
    with pytest.raises(IntegrityError, match="certified samples are broken by pgd"):
        probes.conclude(asked, about, probes.gather(about, parts), parts)


def test_votes_are_measured_and_held_against_nothing() -> None:
    votes = {"method": "smoothing", "samples": 11, **VOTES}
    asked = section(certification=votes)
    about = replace(subject(), region=region.build(THREAT.model_copy(update={"norm": "L2"}), SPEC))
    parts = found(asked, about)
    assert parts["certification"].proven is None
    measured = probes.conclude(asked, about, probes.gather(about, parts), parts)
    assert measured[measurements.SMOOTHED_ACCURACY].samples == 11
    assert measurements.CERTIFIED_ACCURACY not in measured
