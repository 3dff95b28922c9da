from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hardgate import cascade, region, robustness, statistics
from hardgate.attacks import Cascade, flat
from hardgate.cascade import MISTAKEN, STANDS, Ladder
from hardgate.errors import ContractError
from hardgate.records import ImageInput
from hardgate.threat import Threat

IMAGES = ImageInput(kind="images", shape=(1, 4, 4), classes=("a", "b"), mean=(0.5,), scale=(0.2,))
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=50)
REGION = region.build(THREAT, IMAGES)
WEAK = {"name": "pgd", "step_size": 0.05, "steps": 1, "restarts": 1}  # reaches 0.05 to 0.1
STRONG = {"name": "apgd-ce", "steps": 10, "restarts": 1}


def ladder(*rungs: dict[str, object]) -> Cascade:
    return Cascade.model_validate({"name": "cascade", "rungs": rungs})


class Brightness(nn.Module):
    """Says 1 for bright images and 0 for dark ones; counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def forward(self, images: Tensor) -> Tensor:
        self.asked += len(images)
        brightness = images.flatten(1).mean(dim=1) - 0.5
        return torch.stack([-brightness, brightness], dim=1)


def images(*brightness: float) -> Tensor:
    return torch.tensor(brightness).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).clone()


# wrong already, falls to one step, needs more than one, stands
INPUTS = images(0.45, 0.51, 0.595, 0.7)
LABELS = torch.ones(4, dtype=torch.long)


def measure(model: nn.Module, steps: Cascade, **changes: Any) -> Ladder:
    settings = {"seed": 1, "batch_size": 3, **changes}
    return cascade.measure(steps, THREAT, REGION, model, INPUTS, LABELS, **settings)


def test_every_sample_falls_to_the_first_rung_that_breaks_it() -> None:
    found = measure(Brightness(), ladder(WEAK, STRONG))
    assert found.fell_to.tolist() == [MISTAKEN, 0, 1, STANDS]
    assert found.worst.survives.tolist() == [False, False, False, True]
    added = {name: share.value for name, share in found.added().items()}
    assert added == {"added/pgd": 0.25, "added/apgd-ce": 0.25}
    assert all(share.samples == 4 for share in found.added().values())


def test_the_worst_case_is_that_of_every_attack_on_every_sample() -> None:
    found = measure(Brightness(), ladder(WEAK, STRONG))
    alone = [
        robustness.measure(
            rung, THREAT, REGION, Brightness(), INPUTS, LABELS, seed=1, batch_size=3
        ).survives
        for rung in ladder(WEAK, STRONG).rungs
    ]
    assert torch.equal(found.worst.survives, alone[0] & alone[1])
    said = Brightness()(found.worst.adversarial)
    torch.testing.assert_close(found.worst.probabilities, torch.softmax(said, dim=1))
    assert torch.equal(found.worst.predictions, said.argmax(dim=1))
    assert REGION.admits(found.worst.adversarial, INPUTS).all()


def test_a_rung_sees_only_survivors() -> None:
    short, long = Brightness(), Brightness()
    measure(short, ladder(STRONG))
    measure(long, ladder(STRONG, {"name": "square", "restarts": 1}))
    assert 50 <= long.asked - short.asked <= 56  # one survivor's queries, and its clean answers


def test_certified_samples_are_not_attacked_and_stand() -> None:
    certified = torch.tensor([False, False, False, True])
    attacked, spared = Brightness(), Brightness()
    plain = measure(attacked, ladder(STRONG))
    proven = measure(spared, ladder(STRONG), certified=certified)
    assert torch.equal(plain.worst.survives, proven.worst.survives)
    assert torch.equal(proven.worst.adversarial[3], INPUTS[3])
    assert spared.asked < attacked.asked


def test_a_proof_of_a_misclassified_sample_is_refused() -> None:
    with pytest.raises(ContractError, match="the proof is false"):
        measure(Brightness(), ladder(STRONG), certified=torch.tensor([True, False, False, False]))


def test_the_ladder_as_one_attack_finds_as_much() -> None:
    whole = ladder(WEAK, STRONG)
    found = robustness.measure(
        whole, THREAT, REGION, Brightness(), INPUTS, LABELS, seed=1, batch_size=4
    )
    assert torch.equal(found.survives, measure(Brightness(), whole).worst.survives)


def test_the_same_seed_finds_the_same() -> None:
    first, again = (measure(Brightness(), ladder(WEAK, STRONG)) for _ in range(2))
    assert torch.equal(first.worst.adversarial, again.worst.adversarial)


def test_rungs_are_named_once_and_listed_in_place() -> None:
    whole = ladder(WEAK, STRONG)
    assert [attack.name for attack in flat((whole, *whole.rungs[:1]))] == ["pgd", "apgd-ce", "pgd"]
    with pytest.raises(ValueError, match="named twice"):
        ladder(WEAK, WEAK)


@pytest.mark.parametrize(("share", "passes"), [(0.95, True), (0.4, False)])
def test_gate_mode_gives_report_modes_verdict_from_fewer_samples(
    share: float, passes: bool
) -> None:
    stands = torch.arange(600) < share * 600
    inputs = torch.where(stands.view(-1, 1, 1, 1), images(0.7), images(0.55))
    labels = torch.ones(600, dtype=torch.long)
    long = ladder({**STRONG, "steps": 100})
    model, reported = Brightness(), Brightness()
    answer = cascade.judge(
        long,
        THREAT,
        REGION,
        model,
        inputs,
        labels,
        bound=0.7,
        alpha=0.05,
        seed=3,
        batch_size=100,
    )
    cascade.measure(long, THREAT, REGION, reported, inputs, labels, seed=3, batch_size=100)
    assert answer.passes is passes
    assert answer.seen < 250
    assert model.asked < reported.asked / 2 if passes else reported.asked


def test_gate_mode_attacks_nothing_for_a_bound_out_of_reach() -> None:
    model = Brightness()
    answer = cascade.judge(
        ladder(STRONG),
        THREAT,
        REGION,
        model,
        INPUTS,
        LABELS,
        bound=1.0,
        alpha=0.05,
        seed=3,
        batch_size=4,
    )
    assert answer.passes is False
    assert model.asked == 0


def test_gate_mode_asks_nothing_twice_of_what_is_proven() -> None:
    stands = torch.arange(600) < 540
    inputs = torch.where(stands.view(-1, 1, 1, 1), images(0.7), images(0.55))
    labels = torch.ones(600, dtype=torch.long)
    asked = {}
    for proven in (None, stands):
        model = Brightness()
        answer = cascade.judge(
            ladder(STRONG),
            THREAT,
            REGION,
            model,
            inputs,
            labels,
            bound=0.8,
            alpha=0.05,
            seed=3,
            batch_size=100,
            certified=proven,
        )
        assert answer.passes is True
        asked[proven is not None] = model.asked
    assert asked[True] < asked[False] / 3


def test_gate_mode_attacks_neither_what_is_wrong_nor_what_is_proven() -> None:
    """600 images: 60 are wrong as they are, 480 proven; only the other 60 can change the answer."""
    values = torch.full((600,), 0.7)
    values[:60], values[60:120] = 0.4, 0.55
    inputs = torch.cat([images(value) for value in values.tolist()])
    labels, proven = torch.ones(600, dtype=torch.long), torch.arange(600) >= 120
    seen = {}
    for bound in (0.7, 0.75, 0.8, 0.9):
        answer = cascade.judge(
            ladder(STRONG),
            THREAT,
            REGION,
            Brightness(),
            inputs,
            labels,
            bound=bound,
            alpha=1e-9,
            seed=3,
            batch_size=100,
            certified=proven,
        )
        assert answer.passes is (statistics.wilson(480, 600).lower >= bound)
        seen[bound] = answer.seen
    assert seen[0.7] == seen[0.75] == 0  # what is proven is enough
    assert 0 < seen[0.8] <= 60
    assert seen[0.9] == 0  # 540 are not enough, whatever stands
