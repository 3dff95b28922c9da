"""Inputs that do not belong: as many as asked for, of the right shape, as named."""

import numpy as np
import pytest
import torch

from hardgate.records import Column, ImageInput, TableInput
from hardgate.risks.uncertainty import other_images, other_rows
from hardgate.risks.uncertainty.other_images import IMAGE_KINDS

SPEC = TableInput(
    kind="table",
    columns=(
        Column(name="a", type="real", mean=0, scale=1, low=-2, high=3),
        Column(name="b", type="categorical", categories=("x", "y"), mean=0, scale=1, low=0, high=1),
        Column(name="c", type="integer", mean=0, scale=2, low=5, high=5),
    ),
    classes=("no", "yes"),
)


def images(shape, *, bright=False):
    mean = (0.8,) * shape[0] if bright else (0.1,) * shape[0]
    spec = ImageInput(kind="images", shape=shape, classes=("0", "1"), mean=mean, scale=mean)
    return torch.rand(20, *shape, generator=torch.Generator().manual_seed(0)), spec


@pytest.mark.parametrize("kind", IMAGE_KINDS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 24)])
def test_images_have_the_models_shape_and_range_and_the_same_seed_gives_the_same(kind, shape):
    own, spec = images(shape)
    before = own.clone()
    made, again = (other_images.make(kind, own, spec, np.random.default_rng(1)) for _ in range(2))
    assert made.shape == own.shape
    assert made.dtype == torch.float32
    assert 0 <= made.min() <= made.max() <= 1
    assert torch.equal(made, again)
    assert torch.equal(own, before)
    assert not torch.equal(made[0], made[1])


def test_permuted_images_keep_their_greys():
    own, spec = images((1, 8, 8))
    made = other_images.make("permuted", own, spec, np.random.default_rng(1))
    assert torch.equal(made.flatten(1).sort().values, own.flatten(1).sort().values)


@pytest.mark.parametrize("bright", [False, True])
def test_letters_are_drawn_on_the_ground_that_training_had(bright):
    own, spec = images((1, 28, 28), bright=bright)
    letters = other_images.make("letters", own, spec, np.random.default_rng(1))
    corners = letters[:, :, ::27, ::27]
    assert (corners.mean() > 0.5) == bright
    ink = (1 - letters if bright else letters).flatten(1).mean(1)
    assert 0.03 < ink.min() < ink.max() < 0.5


def test_permuted_rows_keep_every_columns_values_and_not_their_company():
    column = torch.arange(200.0)
    rows = torch.stack([column, column, column], dim=1)
    made = other_rows.make("permuted", rows, SPEC, np.random.default_rng(0))
    assert torch.equal(made.sort(0).values, rows)
    assert abs(np.corrcoef(made.T.numpy())[0, 1]) < 0.2


def test_rows_beyond_have_one_number_past_its_range_and_the_rest_as_it_was():
    rows = torch.tensor([[1.0, 1, 5]]).repeat(200, 1)
    made = other_rows.make("beyond", rows, SPEC, np.random.default_rng(0))
    assert ((made != rows).sum(1) == 1).all()
    a, c = made[:, 0], made[:, 2]
    assert (((a > 3) & (a <= 8)) | ((a < -2) & (a >= -7)) | (a == 1)).all()
    assert (((c > 5) & (c <= 7)) | ((c < 5) & (c >= 3)) | (c == 5)).all()
    assert (a > 3).any() and (a < -2).any() and (c != 5).any()
    assert torch.equal(made[:, 1], rows[:, 1])
