"""What is replayed was made against earlier versions, of training samples, or is not there."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from hardgate import region

PGD = {"name": "pgd", "step_size": 0.1, "steps": 4, "restarts": 1}
REPLAY = {"name": "replay", "share": 0.2, "versions": 2, "attack": PGD}


class Watched(nn.Module):
    """Counts what it is asked."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.asked = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.asked += len(inputs)
        answer: torch.Tensor = self.model(inputs)
        return answer


def test_without_earlier_versions_nothing_is_added_and_the_tally_says_so(images) -> None:
    corpus, (tally,) = replace(images, earlier=()).run(REPLAY)
    assert len(corpus) == len(images.train)
    assert (tally.added, tally.detail) == (0, {"versions": 0})


@pytest.mark.parametrize(("versions", "asked"), [(1, [True, False]), (2, [True, True])])
def test_as_many_versions_are_attacked_as_asked_for_the_newest_first(
    images, versions, asked
) -> None:
    models = tuple(Watched(model) for model in images.earlier)
    _, (tally,) = replace(images, earlier=models).run(REPLAY | {"versions": versions})
    assert [model.asked > 0 for model in models] == asked
    assert tally.detail["versions"] == versions


def test_the_samples_fool_the_version_they_were_made_against(images) -> None:
    corpus, (tally,) = images.run(REPLAY | {"versions": 1})
    added = corpus.take(torch.arange(len(images.train), len(corpus)))
    with torch.no_grad():
        wrong = images.earlier[0](added.floats()).argmax(1) != added.labels
        before = images.earlier[0](images.train.floats()).argmax(1) != images.train.labels
    assert wrong.float().mean() > before.float().mean() + 0.3
    assert wrong.float().mean() == pytest.approx(tally.detail["version_error_1"], abs=0.1)


def test_each_sample_lies_around_a_training_sample_of_its_label(images) -> None:
    corpus, _ = images.run(REPLAY)
    added = corpus.take(torch.arange(len(images.train), len(corpus)))
    allowed = region.build(images.threat, images.spec)
    inputs, clean = added.floats(), images.train.floats()
    nearest = torch.cdist(inputs.flatten(1), clean.flatten(1), p=torch.inf).argmin(1)
    assert bool(allowed.admits(inputs, clean[nearest]).all())
    assert torch.equal(added.labels, images.train.labels[nearest])


def test_another_version_makes_other_samples(images) -> None:
    alone = REPLAY | {"versions": 1}
    first = images.added(alone)
    other = replace(images, earlier=images.earlier[::-1]).added(alone)
    assert not torch.equal(first.inputs, other.inputs)
