import numpy as np
import pytest
import torch

from hardgate import region
from hardgate.augmentations.context import Context
from hardgate.augmentations.gan import Gan
from hardgate.augmentations.makers import ImageCritic, ImageMaker, TableCritic, TableMaker
from hardgate.records import ImageInput

QUICK = {"name": "gan", "steps": 20, "batch_size": 32, "rate": 0.002, "width": 32}


def context(world, judge: torch.nn.Module) -> Context:
    built = region.build(world.threat, world.spec)
    return Context(world.spec, world.threat, built, lambda: judge, torch.device("cpu"))


class Certain(torch.nn.Module):
    """Says one class, with probability 0.88."""

    def __init__(self, label: int) -> None:
        super().__init__()
        self.label = label

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(inputs), 2)
        logits[:, self.label] = 2.0
        return logits


@pytest.mark.parametrize(("confidence", "confirmed"), [(0.85, True), (0.9, False)])
def test_a_sample_is_kept_only_if_the_judge_is_sure_of_its_label(
    table, confidence, confirmed
) -> None:
    gan = Gan.model_validate({**QUICK, "share": 0.5, "confidence": confidence})
    added = gan.augment(table.train, context(table, Certain(1)), np.random.default_rng(0))
    assert set(added.samples.labels.tolist()) == ({1} if confirmed else set())
    assert added.dropped["label not confirmed"] > 100
    assert added.detail["confirmed"] < 0.5


def test_a_judge_that_is_not_a_number_confirms_nothing(table) -> None:
    class Mute(torch.nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.full((len(inputs), 2), torch.nan)

    gan = Gan.model_validate({**QUICK, "share": 0.1, "confidence": 0.0})
    added = gan.augment(table.train, context(table, Mute()), np.random.default_rng(0))
    assert len(added.samples) == 0


def test_what_the_judge_drops_is_drawn_again(table) -> None:
    gan = Gan.model_validate({**QUICK, "share": 0.2, "confidence": 0.5})
    added = gan.augment(table.train, context(table, Certain(0)), np.random.default_rng(0))
    assert len(added.samples) >= 75, "80 wanted, three in four drawn are of the confirmed class"


def test_the_table_gan_learns_what_belongs_together(table) -> None:
    gan = Gan.model_validate(
        {**QUICK, "steps": 300, "batch_size": 128, "width": 64, "share": 1.0, "confidence": 0}
    )
    added = gan.augment(table.train, context(table, Certain(0)), np.random.default_rng(0))
    made, real = added.samples, table.train
    for label in (0, 1):
        ours, theirs = (s.inputs[s.labels == label] for s in (made, real))
        scale = table.spec.columns[0].scale
        assert float((ours[:, 0].nanmean() - theirs[:, 0].nanmean()).abs()) < 0.4 * scale
        shares = [
            [float((x[:, 2] == job).float().mean()) for job in range(3)] for x in (ours, theirs)
        ]
        np.testing.assert_allclose(*shares, atol=0.15)
        assert (
            abs(float((ours[:, 1] == 0).float().mean() - (theirs[:, 1] == 0).float().mean())) < 0.2
        )
    assert len(np.unique(made.inputs[:, 0].numpy())) > 0.5 * len(made), "it repeats itself"


def test_makers_and_critics_fit_odd_sizes_and_colours() -> None:
    spec = ImageInput(
        kind="images", shape=(3, 13, 22), classes=("a", "b"), mean=(0.5,) * 3, scale=(0.2,) * 3
    )
    labels = torch.tensor([0, 1, 1, 0])
    images = ImageMaker(spec, latent=4, width=16)(labels, torch.Generator().manual_seed(0))
    assert images.shape == (4, 3, 13, 22) and images.min() >= 0 and images.max() <= 1
    assert ImageCritic(spec, width=4)(images, labels).shape == (4,)


def test_a_critic_of_tables_looks_at_several_rows_at_once() -> None:
    rows, labels = torch.rand(8, 5), torch.zeros(8, dtype=torch.int64)
    assert TableCritic(5, 2, width=16)(rows, labels).shape == (2,)


def test_a_made_sample_does_not_depend_on_its_neighbours() -> None:
    maker = TableMaker(3, (), 2, latent=4, width=16)
    labels = torch.zeros(6, dtype=torch.int64)
    others = torch.tensor([0, 0, 1, 1, 1, 1])
    first = maker(labels, torch.Generator().manual_seed(0))
    second = maker(others, torch.Generator().manual_seed(0))
    torch.testing.assert_close(first[:2], second[:2])
    assert not torch.equal(first[2:], second[2:])


@pytest.mark.slow
def test_the_image_gan_draws_digits_that_the_surrogate_recognises(images, digits) -> None:
    pixels, labels = digits("train", 5000)
    train = type(images.train)(pixels, labels, torch.arange(5000))
    world = type(images)(train, images.spec, images.threat)
    corpus, (tally,) = world.run(
        {**QUICK, "share": 0.05, "steps": 600, "width": 256, "confidence": 0.6}
    )
    assert tally.detail["confirmed"] > 0.3, "chance would be below 0.1"
    assert set(corpus.labels[5000:].tolist()) == set(range(10))
