from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from hardgate import progress, region, robustness
from hardgate.attacks import Attack
from hardgate.errors import ContractError
from hardgate.records import Column, ImageInput, TableInput
from hardgate.region import Region
from hardgate.robustness import Outcome
from hardgate.threat import Threat

IMAGES = ImageInput(kind="images", shape=(1, 4, 4), classes=("a", "b"), mean=(0.5,), scale=(0.2,))
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=50)
REGION = region.build(THREAT, IMAGES)


def attack(**fields: object) -> Attack:
    return TypeAdapter(Attack).validate_python(fields)


PGD = attack(name="pgd", step_size=0.03, steps=10, restarts=1)


class Brightness(nn.Module):
    """Says 1 for bright images and 0 for dark ones; the margin is twice the distance from grey."""

    def forward(self, images: Tensor) -> Tensor:
        brightness = images.flatten(1).mean(dim=1) - 0.5
        return torch.stack([-brightness, brightness], dim=1)


def images(*brightness: float) -> Tensor:
    return torch.tensor(brightness).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).clone()


def measure(model: nn.Module, inputs: Tensor, labels: list[int], **changes: Any) -> Outcome:
    settings = {"attack": PGD, "seed": 1, "batch_size": 3, **changes}
    return robustness.measure(
        threat=THREAT,
        region=REGION,
        model=model,
        inputs=inputs,
        labels=torch.tensor(labels),
        **settings,
    )


def test_what_survives_is_what_the_closed_form_says() -> None:
    outcome = measure(Brightness(), images(0.7, 0.55, 0.2, 0.45, 0.61), [1, 1, 0, 0, 1])
    assert outcome.survives.tolist() == [True, False, True, False, True]
    assert outcome.predictions.tolist() == [1, 0, 0, 1, 1]
    torch.testing.assert_close(outcome.adversarial, images(0.6, 0.45, 0.3, 0.55, 0.51))
    margins = outcome.adversarial.flatten(1).mean(1) - 0.5
    torch.testing.assert_close(
        outcome.probabilities[:, 1], torch.sigmoid(2 * margins), rtol=1e-4, atol=1e-4
    )


def test_inputs_that_are_wrong_already_are_not_attacked_unless_scores_count() -> None:
    inputs, labels = images(0.7, 0.3), [0, 0]
    spared = measure(Brightness(), inputs, labels)
    assert torch.equal(spared.adversarial[0], inputs[0])
    assert spared.survives.tolist() == [False, True]
    everything = measure(Brightness(), inputs, labels, attack_all=True)
    torch.testing.assert_close(everything.adversarial, images(0.8, 0.4))
    assert everything.survives.tolist() == [False, True]


def test_an_attack_that_helps_the_model_does_not_count() -> None:
    class Helper:
        name = "helper"

        def perturb(self, model: object, inputs: Tensor, *_: object, **__: object) -> Tensor:
            return (inputs - 0.1).clamp(0, 1)  # towards the label of every dark image

    inputs = images(0.55, 0.3)
    outcome = measure(Brightness(), inputs, [0, 0], attack=Helper(), attack_all=True)
    assert outcome.survives.tolist() == [False, True]
    assert torch.equal(outcome.adversarial, inputs)


@pytest.mark.parametrize("reach", [0.2, float("nan")])
def test_an_attack_that_leaves_the_region_is_no_evidence(reach: float) -> None:
    class Cheat:
        name = "cheat"

        def perturb(self, model: object, inputs: Tensor, *_: object, **__: object) -> Tensor:
            return inputs - reach

    with pytest.raises(ContractError, match="outside the threat model"):
        measure(Brightness(), images(0.55), [1], attack=Cheat())


def test_a_model_that_answers_with_nan_cannot_be_judged() -> None:
    class Broken(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return torch.full((len(inputs), 2), torch.nan)

    with pytest.raises(ContractError, match="NaN or infinity"):
        measure(Broken(), images(0.5), [1])


def test_inputs_without_labels_are_refused() -> None:
    with pytest.raises(ContractError, match="2 inputs and 1 labels"):
        measure(Brightness(), images(0.5, 0.6), [1])


def test_one_batch_can_be_repeated_without_those_before_it() -> None:
    inputs = images(0.7, 0.65, 0.2, 0.35, 0.71, 0.4)
    labels = [1, 1, 0, 0, 1, 0]
    noisy = attack(name="pgd", step_size=0.001, steps=100, restarts=1)
    whole = measure(Brightness(), inputs, labels, attack=noisy)
    again = measure(Brightness(), inputs, labels, attack=noisy)
    assert torch.equal(whole.adversarial, again.adversarial)
    changed = inputs.clone()
    changed[:3] = 0.9
    second = measure(Brightness(), changed, labels, attack=noisy)
    assert torch.equal(second.adversarial[3:], whole.adversarial[3:])
    other = measure(Brightness(), inputs, labels, attack=noisy, seed=2)
    assert not torch.equal(other.adversarial, whole.adversarial)


def test_the_security_curve_falls_as_the_closed_form_says() -> None:
    inputs = images(*[0.5 + step / 100 for step in range(1, 41)])
    found = robustness.security_curve(
        PGD,
        THREAT,
        REGION,
        Brightness(),
        inputs,
        torch.ones(40, dtype=torch.long),
        factors=(0.55, 1.05, 2.05, 4.5),
        seed=0,
        batch_size=16,
    )
    assert {name: point.value for name, point in found.items()} == {
        "curve/0.55/accuracy": 35 / 40,
        "curve/1.05/accuracy": 30 / 40,
        "curve/2.05/accuracy": 20 / 40,
        "curve/4.5/accuracy": 0,
    }
    assert all(point.samples == 40 for point in found.values())


def test_progress_names_the_attack_and_counts_batches() -> None:
    class Heard(progress.Silent):
        def __init__(self) -> None:
            self.steps: list[tuple[str, int | None]] = []

        def started(self, step: str, total: int | None) -> None:
            self.steps.append((step, total))

    heard = Heard()
    with progress.listening(heard):
        measure(Brightness(), images(0.7, 0.6, 0.2, 0.4), [1, 1, 0, 0])
    assert heard.steps == [("pgd", 2)]


def test_rows_of_a_table_with_missing_cells_are_measured() -> None:
    columns = tuple(
        Column(name=name, type="real", mean=0, scale=1, low=-5, high=5) for name in ("a", "b")
    )
    spec = TableInput(kind="table", columns=columns, classes=("no", "yes"))
    threat = Threat(
        norm="Linf", eps=0.5, access="white-box", queries=20, columns={"a": {}, "b": {}}
    )
    allowed: Region = region.build(threat, spec)

    class Sum(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            total = rows.nan_to_num().sum(dim=1)
            return torch.stack([-total, total], dim=1)

    inputs = torch.tensor([[0.4, torch.nan], [0.6, torch.nan], [0.4, 0.4], [0.7, 0.7]])
    for search in (
        attack(name="constrained-pgd", step_size=0.1, steps=10, restarts=2, check_every=5),
        attack(name="constrained-search", share=0.5),
    ):
        found = robustness.measure(
            search,
            threat,
            allowed,
            Sum(),
            inputs,
            torch.ones(4, dtype=torch.long),
            seed=0,
            batch_size=4,
            attack_all=True,
        )
        assert found.survives.tolist() == [False, True, False, True]
        assert torch.equal(found.adversarial.isnan(), inputs.isnan())
