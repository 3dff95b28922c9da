"""Groups are compared in a whole evaluation and alone, by the same numbers for the same attack."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hardgate import probes, region
from hardgate.probes import Evaluation, Subject
from hardgate.records import Column, TableInput
from hardgate.samples import Samples
from hardgate.threat import Threat

SPEC = TableInput(
    kind="table",
    columns=(
        Column(name="income", type="real", mean=0, scale=1, low=-4, high=4),
        Column(
            name="sex",
            type="categorical",
            categories=("man", "woman"),
            immutable=True,
            sensitive=True,
            mean=0,
            scale=1,
            low=0,
            high=1,
        ),
    ),
    classes=("paid", "default"),
)
THREAT = Threat(norm="Linf", eps=0.3, access="white-box", queries=9, columns={"income": {}})
PGD = {
    "name": "constrained-pgd",
    "step_size": 0.1,
    "steps": 10,
    "restarts": 1,
    "check_every": 5,
}
PARTS = ("constrained-pgd", "clean")


def section(**changes: Any) -> Evaluation:
    plain: dict[str, Any] = {
        "samples": 400,
        "batch_size": 200,
        "attacks": [PGD, {"name": "constrained-search", "share": 0.5}],
        "curve": {"factors": [1], "attack": PGD, "samples": 9},
        "diagnostics": 9,
        "price": 9,
        "fairness": {"positive": "default", "min_group": 50},
    }
    return Evaluation.model_validate({**plain, **changes})


def subject() -> Subject:
    """A model that is as right about women as about men, and sits closer to women."""
    model = nn.Linear(2, 2).eval()
    model.weight.data = torch.tensor([[0.0, 0.0], [5.0, 0.0]])
    model.bias.data = torch.zeros(2)
    generator = torch.Generator().manual_seed(0)
    sex = torch.arange(400) % 2
    side = torch.randn(400, generator=generator).sign()
    income = side * torch.where(sex == 1, 0.2, 2.0)  # women are within reach of the attack
    samples = Samples(torch.stack([income, sex], 1), (income > 0).long(), torch.arange(400))
    return Subject(
        model=model,
        spec=SPEC,
        threat=THREAT,
        region=region.build(THREAT, SPEC),
        train=samples,
        held_out=samples,
        test=samples,
        attacked=torch.arange(400),
        batch_size=200,
        device=torch.device("cpu"),
        seed=1,
    )


def test_a_model_that_is_robust_for_men_alone_shows_it_under_attack_only() -> None:
    found = probes.alone(section(), subject())
    assert found["fairness/sex/clean/accuracy_difference"].value == 0
    assert found["fairness/sex/under_attack/accuracy_difference"].lower > 0.9
    assert found["fairness/sex/under_attack/group/woman/accuracy"].value < 0.1
    assert "fairness/sex/clean/calibration_difference" in found
    assert "fairness/sex/under_attack/calibration_difference" not in found


def test_alone_and_in_a_whole_run_the_same_attack_gives_the_same_numbers() -> None:
    asked, about = section(), subject()
    parts = {
        probe.name: probes.measure(probe, asked, about, None)  # type: ignore[arg-type]
        for probe in probes.plan(asked, SPEC, THREAT)
        if probe.name in PARTS
    }
    whole = probes.conclude(asked, about, probes.gather(about, parts), parts)
    alone = probes.alone(asked, about)
    assert {name: seen for name, seen in whole.items() if name.startswith("fairness/")} == alone


def test_nothing_is_compared_where_nothing_is_asked() -> None:
    assert probes.alone(section(fairness=None), subject()) == {}
