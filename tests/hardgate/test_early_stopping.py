from __future__ import annotations

import pytest
import torch
from torch import nn

from hardgate import early_stopping, region
from hardgate.early_stopping import EarlyStopping, Watched
from hardgate.records import ImageInput
from hardgate.samples import Samples
from hardgate.threat import Threat

PARAMS = EarlyStopping(every=1, steps=5, step_size=0.05, samples=40, patience=1, score="accuracy")
SPEC = ImageInput(kind="images", shape=(1, 1, 1), classes=("a", "b"), mean=(0.0,), scale=(1.0,))
REGION = region.build(Threat(norm="Linf", eps=0.1, access="white-box", queries=1), SPEC)


def ramp() -> Samples:
    """101 grey pixels from 0 to 1; above one half they are of class 1."""
    values = torch.arange(101) / 100
    return Samples(values.view(-1, 1, 1, 1), (values > 0.5).long(), torch.arange(101))


def threshold() -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[0.0], [10.0]]))
        model[1].bias.copy_(torch.tensor([0.0, -5.05]))
    return model


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([0, 0, 1, 1], 1.0), ([1, 1, 0, 0], 0.0), ([0, 1, 0, 1], 0.75), ([1, 1, 1, 1], 0.5)],
)
def test_auc_counts_pairs(labels: list[int], expected: float) -> None:
    assert early_stopping.auc(torch.arange(4.0), torch.tensor(labels)) == expected


def test_ties_count_half() -> None:
    assert early_stopping.auc(torch.zeros(4), torch.tensor([0, 1, 0, 1])) == 0.5


def test_balanced_accuracy_is_the_mean_recall() -> None:
    logits = torch.tensor([[1.0, 0.0]] * 4)
    labels = torch.tensor([0, 0, 0, 1])
    assert early_stopping.score(logits, labels, "accuracy") == pytest.approx(0.75)
    assert early_stopping.score(logits, labels, "balanced_accuracy") == pytest.approx(0.5)


def test_scores_are_those_of_the_closed_form() -> None:
    samples = ramp()
    found = early_stopping.evaluate(
        PARAMS,
        threshold(),
        REGION,
        Watched(held_out=samples, train=samples),
        adversarial=True,
        certifies=True,
        device=torch.device("cpu"),
        generator=torch.Generator().manual_seed(0),
    )
    # The 20 pixels within eps of the threshold at 0.505 are lost: 0.41 to 0.60.
    assert found.clean == 1.0
    assert found.robust == pytest.approx(81 / 101)
    assert found.one_step == pytest.approx(81 / 101)
    assert found.certified == pytest.approx(81 / 101)


def test_a_standard_recipe_is_spared_the_attacks_and_the_mode_is_restored() -> None:
    model = threshold().train()
    found = early_stopping.evaluate(
        PARAMS,
        model,
        REGION,
        Watched(held_out=ramp(), train=ramp()),
        adversarial=False,
        certifies=False,
        device=torch.device("cpu"),
        generator=torch.Generator(),
    )
    assert (found.clean, found.robust, found.one_step) == (1.0, None, None)
    assert found.certified is None
    assert found.deciding == 1.0
    assert model.training


def test_the_watched_samples_are_as_many_as_asked_and_the_same_for_a_seed() -> None:
    chosen = [
        early_stopping.choose(
            PARAMS,
            corpus=ramp(),
            held_out=ramp(),
            generator=torch.Generator().manual_seed(1),
        )
        for _ in range(2)
    ]
    assert len(chosen[0].held_out) == len(chosen[0].train) == 40
    assert torch.equal(chosen[0].held_out.rows, chosen[1].held_out.rows)
    assert not torch.equal(chosen[0].held_out.rows, chosen[0].train.rows)
