"""The undefended twin as one probe: price, corruption and transfer stand on the same network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hardgate import corruptions, probes, region
from hardgate.errors import ParamsError
from hardgate.evidence import recomputation
from hardgate.probes import Evaluation, Found, Origin, Probe, Subject
from hardgate.records import ImageInput
from hardgate.samples import Samples
from hardgate.threat import Threat
from hardgate.training import Training

SPEC = ImageInput(kind="images", shape=(1, 12, 12), classes=("a", "b"), mean=(0.5,), scale=(0.2,))
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=30)
PGD = {"name": "pgd", "step_size": 0.05, "steps": 5, "restarts": 1}
TWIN = Training.model_validate(
    {
        "architecture": {"name": "small-cnn", "channels": 2, "hidden": 4},
        "defense": {"recipe": "pgd", "step_size": 0.05, "steps": 2},
        "optimiser": {"name": "adam", "rate": 0.01},
        "schedule": {"name": "cosine"},
        "epochs": 2,
        "batch_size": 16,
        "early_stopping": {
            "every": 1,
            "steps": 1,
            "step_size": 0.1,
            "samples": 16,
            "patience": 2,
            "score": "accuracy",
        },
        "overfitting": {"catastrophic": 1, "robust": 1, "evaluations": 2},
    }
)


def section(**changes: Any) -> Evaluation:
    plain: dict[str, Any] = {
        "samples": 24,
        "batch_size": 16,
        "attacks": [PGD, {"name": "square", "restarts": 1}],
        "curve": {"factors": [1], "attack": PGD, "samples": 8},
        "diagnostics": 8,
        "price": 8,
        "transfer": {"attack": PGD},
        "queries": {"attacks": [{"name": "rays"}], "counts": [5, 30], "samples": 8},
        "corruptions": {"severities": [1], "samples": 24},
    }
    return Evaluation.model_validate({**plain, **changes})


@pytest.fixture(scope="module")
def subject() -> Subject:
    """Bright images and dark ones, with noise that confuses a few of them."""
    draws = torch.Generator().manual_seed(4)
    labels = torch.arange(64) % 2
    images = (
        0.35 + 0.3 * labels.view(-1, 1, 1, 1) + 0.2 * torch.randn(64, 1, 12, 12, generator=draws)
    )
    part = Samples((images.clamp(0, 1) * 255).round().to(torch.uint8), labels, torch.arange(64))
    torch.manual_seed(1)
    model = TWIN.untrained(SPEC).eval()
    return Subject(
        model=model,
        spec=SPEC,
        threat=THREAT,
        region=region.build(THREAT, SPEC),
        train=part,
        held_out=part,
        test=part,
        attacked=probes.choose(part, 24, seed=0),
        batch_size=16,
        device=torch.device("cpu"),
        seed=0,
    )


def run(asked: Evaluation, subject: Subject, tmp_path: Path, *kinds: str) -> dict[str, Found]:
    origin = Origin(
        training=TWIN,
        directory=tmp_path,
        scratch=tmp_path,
        raw=lambda: pytest.fail("no raw row is asked for"),
        corpus=lambda: subject.train,
    )
    return {
        probe.name: probes.measure(probe, asked, subject, origin)
        for probe in probes.plan(asked, SPEC, THREAT)
        if probe.kind in kinds
    }


def test_transfer_is_an_attack_among_the_others_in_outcomes_and_worst_case(
    subject: Subject, tmp_path: Path
) -> None:
    asked = section()
    found = run(asked, subject, tmp_path, "twin", "attack", "clean")
    assert found["transfer"].inputs is not None
    gathered = probes.gather(subject, found)
    assert set(gathered.attacks) == {"pgd", "square", "transfer"}
    measured = probes.conclude(asked, subject, gathered, found)
    assert measured["robust/transfer/accuracy"].samples == 24
    worst = measured["robust/worst_case/accuracy"]
    assert worst.value <= measured["robust/transfer/accuracy"].value
    assert measured["transfer/beats_white_box"].samples == 24
    assert recomputation.can_recompute("robust/transfer/accuracy", classes=2)


def test_candidate_and_twin_see_the_same_corruptions(subject: Subject, tmp_path: Path) -> None:
    measured = run(section(), subject, tmp_path, "twin")["transfer"].measurements
    assert measured["price/standard/clean_accuracy"].samples == 64
    for name in corruptions.NAMES:
        assert measured[f"corruption/{name}/1/accuracy"].samples == 24
    assert "corruption/mean/accuracy" in measured


def test_without_transfer_the_twin_is_still_the_price(subject: Subject, tmp_path: Path) -> None:
    asked = section(transfer=None, corruptions=None)
    found = run(asked, subject, tmp_path, "twin")
    assert set(found) == {"twin"}
    assert found["twin"].inputs is None
    assert all(name.startswith("price/") for name in found["twin"].measurements)


def test_queries_are_a_probe_when_asked_for(subject: Subject, tmp_path: Path) -> None:
    probe = Probe(kind="queries", name="queries")
    assert probe not in probes.plan(section(queries=None), SPEC, THREAT)
    found = run(section(), subject, tmp_path, "queries")["queries"].measurements
    assert set(found) == {"queries/rays/5/accuracy", "queries/rays/30/accuracy"}


def test_attacks_that_do_not_fit_are_refused_before_the_run() -> None:
    rows = {"name": "constrained-search", "share": 0.5}
    with pytest.raises(ParamsError, match="constrained-search"):
        probes.plan(section(transfer={"attack": rows}), SPEC, THREAT)
    with pytest.raises(ParamsError, match="more than the 30"):
        probes.plan(
            section(queries={"attacks": [{"name": "rays"}], "counts": [31], "samples": 8}),
            SPEC,
            THREAT,
        )
