from __future__ import annotations

import math

import pytest
import torch

from hardgate.architectures.inputs import Normalise, Saturate, TableEncoder
from hardgate.records import Column, ColumnType, ImageInput, TableInput

SPEC = TableInput(
    kind="table",
    columns=(
        Column(name="x", type=ColumnType.REAL, mean=10.0, scale=2.0, low=0, high=20),
        Column(
            name="job",
            type=ColumnType.CATEGORICAL,
            categories=("a", "b", "c"),
            mean=0,
            scale=1,
            low=0,
            high=2,
        ),
        Column(name="n", type=ColumnType.INTEGER, mean=0.0, scale=5.0, low=0, high=9),
    ),
    classes=("no", "yes"),
)


@pytest.mark.parametrize(
    ("row", "features"),
    [
        ([12.0, 0, -5.0], [1.0, -1.0, 0, 0, 1, 0, 0]),
        ([10.0, 2, 0.0], [0.0, 0.0, 0, 0, 0, 0, 1]),
        ([math.nan, -1, 5.0], [0.0, 1.0, 1, 0, 0, 0, 0]),
        ([8.0, math.nan, math.nan], [-1.0, 0.0, 0, 1, 0, 0, 0]),
    ],
    ids=["plain", "mean", "missing number and category", "missing category as NaN"],
)
def test_rows_are_encoded_as_on_paper(row: list[float], features: list[float]) -> None:
    encoder = TableEncoder(SPEC, squash=False)
    encoded = encoder(torch.tensor([row]))
    assert encoded.tolist() == [features]
    assert encoder.width == len(features)


def test_squash_leaves_the_bulk_and_tames_the_tail() -> None:
    encoder = TableEncoder(SPEC, squash=True)
    encoded = encoder(torch.tensor([[10.2, 0, 5000.0]]))
    assert encoded[0, 0].item() == pytest.approx(math.asinh(0.1), rel=1e-4)
    assert encoded[0, 1].item() == pytest.approx(math.asinh(1000.0), rel=1e-6)


def test_images_are_normalised_per_channel_and_a_constant_channel_is_left_alone() -> None:
    spec = ImageInput(
        kind="images", shape=(2, 1, 1), classes=("a", "b"), mean=(0.5, 0.0), scale=(0.25, 0.0)
    )
    pixels = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    assert Normalise(spec)(pixels).flatten().tolist() == [2.0, 0.0]


def test_nearly_black_and_nearly_white_pixels_are_black_and_white() -> None:
    pixels = torch.tensor([0.0, 0.3, 0.4, 0.5, 0.7, 1.0])
    expected = torch.tensor([0.0, 0.0, 0.25, 0.5, 1.0, 1.0])
    torch.testing.assert_close(Saturate(0.3)(pixels), expected)


def test_constants_are_not_weights() -> None:
    assert TableEncoder(SPEC, squash=False).state_dict() == {}
