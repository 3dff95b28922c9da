"""A cascade as one probe of evaluation: its outcomes, its evidence, and what its rungs added."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from hardgate import measurements, probes, region, robustness, sequential, statistics
from hardgate.certification.proofs import Bounding
from hardgate.evidence import recomputation
from hardgate.params import Evaluation
from hardgate.probes import Found, Origin, Probe, Subject
from hardgate.records import ImageInput
from hardgate.samples import Samples
from hardgate.threat import Threat

SPEC = ImageInput(kind="images", shape=(1, 6, 6), classes=("a", "b"), mean=(0.5,), scale=(0.2,))
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=30)
PGD = {"name": "pgd", "step_size": 0.05, "steps": 10, "restarts": 1}
SECTION = Evaluation.model_validate(
    {
        "samples": 8,
        "batch_size": 4,
        "attacks": [
            {"name": "cascade", "rungs": [{"name": "fgsm"}, PGD, {"name": "square", "restarts": 1}]}
        ],
        "curve": {"factors": [1], "attack": PGD, "samples": 8},
        "diagnostics": 8,
        "price": 8,
    }
)


class Brightness(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        brightness = images.flatten(1).mean(dim=1) - 0.5
        return torch.stack([-brightness, brightness], dim=1)


@pytest.fixture
def subject() -> Subject:
    brightness = torch.tensor([0.45, 0.52, 0.55, 0.59, 0.65, 0.7, 0.3, 0.45])
    labels = (torch.arange(8) < 6).long()
    images = (brightness.view(-1, 1, 1, 1) * 255).round().to(torch.uint8).expand(-1, 1, 6, 6)
    test = Samples(images.clone(), labels, torch.arange(8))
    return Subject(
        model=Brightness(),
        spec=SPEC,
        threat=THREAT,
        region=region.build(THREAT, SPEC),
        train=test,
        held_out=test,
        test=test,
        attacked=probes.choose(test, 8, seed=0),
        batch_size=4,
        device=torch.device("cpu"),
        seed=0,
    )


def run(
    subject: Subject, probe: Probe, section: Evaluation = SECTION, *, attempt: int = 1
) -> Found:
    origin = Origin(
        training=None,  # type: ignore[arg-type]  nothing is trained beside it
        directory=Path("unused"),
        scratch=Path("unused"),
        raw=lambda: pytest.fail("no raw row is asked for"),
        corpus=lambda: subject.train,
        attempt=attempt,
    )
    return probes.measure(probe, section, subject, origin)


def test_a_cascade_is_the_worst_case_and_says_what_each_rung_added(subject: Subject) -> None:
    planned = probes.plan(SECTION, SPEC, THREAT)
    found = {p.name: run(subject, p) for p in planned if p.kind in ("attack", "clean")}
    gathered = probes.gather(subject, found)
    measured = probes.conclude(SECTION, subject, gathered, found)
    assert measured["robust/cascade/accuracy"].value == 3 / 8
    assert measured["robust/worst_case/accuracy"] == measured["robust/cascade/accuracy"]
    assert measured["added/fgsm"].value == 4 / 8  # one of eight was wrong without any attack
    assert measured["added/pgd"].value == measured["added/square"].value == 0
    assert not recomputation.can_recompute("added/fgsm", classes=2)


def test_the_signs_look_at_the_rungs_and_known_answers_are_asked(subject: Subject) -> None:
    found = run(subject, Probe(kind="diagnostics", name="diagnostics")).measurements
    assert found["known_answer/fgsm"].value == 0.99
    assert found["known_answer/pgd"].value == 0.99
    assert found["known_answer/square"].value < 0.99  # 30 queries are few
    assert found["diagnostics/black_box_beats_white_box"].value == 0


def gate_mode(bound: float) -> Evaluation:
    asked = {"attack": "cascade", "bound": bound, "alpha": 0.1}
    return Evaluation.model_validate({**SECTION.model_dump(), "sequential": asked})


@pytest.mark.parametrize(("bound", "reached"), [(0.13, 1), (0.2, 0)])
def test_gate_mode_gives_the_answer_that_report_mode_would(
    subject: Subject, bound: float, reached: int
) -> None:
    section = gate_mode(bound)
    (probe,) = (p for p in probes.plan(section, SPEC, THREAT) if p.kind == "sequential")
    found = run(subject, probe, section, attempt=2).measurements
    assert (statistics.wilson(3, 8).lower >= bound) == bool(reached)
    assert found[measurements.reaches("cascade", bound)] == statistics.exact(reached, 8)
    assert found["sequential/cascade/error_rate"].value == sequential.spend(0.1, 2)
    assert 0 < found["sequential/cascade/seen"].value <= 8


def test_gate_mode_takes_the_place_of_the_attack(subject: Subject) -> None:
    section = gate_mode(0.13)
    planned = probes.plan(section, SPEC, THREAT)
    assert not [probe for probe in planned if probe.kind == "attack"]
    found = {p.name: run(subject, p, section) for p in planned if p.kind in ("sequential", "clean")}
    measured = probes.conclude(section, subject, probes.gather(subject, found), found)
    assert "robust/worst_case/accuracy" not in measured


def test_gate_mode_is_for_a_cascade() -> None:
    asked = {"attack": "pgd", "bound": 0.5, "alpha": 0.1}
    plain = SECTION.model_dump() | {"sequential": asked}
    with pytest.raises(ValidationError, match="gate mode needs a cascade of attacks; there is"):
        Evaluation.model_validate(plain)


def test_what_is_proven_is_not_attacked(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brightness is linear, so bounds are exact: all that stands is proven."""
    linear = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    weights = torch.stack([-torch.ones(36), torch.ones(36)]) / 36
    linear[1].load_state_dict({"weight": weights, "bias": torch.tensor([0.5, -0.5])})
    section = SECTION.model_copy(
        update={"certification": Bounding.model_validate({"method": "ibp", "samples": 8})}
    )
    seen: list[int] = []

    def measure(*arguments: Any, **settings: Any) -> robustness.Outcome:
        seen.append(len(arguments[4]))
        return real(*arguments, **settings)

    real = robustness.measure
    monkeypatch.setattr(robustness, "measure", measure)
    found = run(replace(subject, model=linear), Probe(kind="attack", name="cascade"), section)
    assert found.measurements["added/fgsm"].value == 4 / 8
    assert seen == [4]  # 7 are right, 3 of them proven, and the others fall to the first rung
