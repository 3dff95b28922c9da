import torch

from hardgate.augmentations.context import Added, made
from hardgate.augmentations.sieve import Sieve, fingerprints, within


def test_each_sample_is_let_through_once(table) -> None:
    sieve = Sieve(table.spec, table.train.inputs)
    new = torch.tensor([[30.0, 5.0, 1.0], [30.0, 5.0, 1.0], [31.0, 5.0, 1.0]])
    rows = torch.cat([table.train.inputs[:2], new])
    added = Added(made(rows, torch.zeros(5, dtype=torch.int64)))
    sifted = sieve.sift(added)
    assert sifted.samples.inputs.tolist() == [[30.0, 5.0, 1.0], [31.0, 5.0, 1.0]]
    assert sifted.dropped == {"out of range": 0, "duplicate": 3}
    assert sieve.sift(added).dropped["duplicate"] == 5, "what was made before is not remembered"


def test_what_the_data_could_not_hold_is_out_of_range(table) -> None:
    nan, high = float("nan"), table.spec.columns[0].high
    rows = torch.tensor(
        [
            [30.0, 5.0, 1.0],
            [nan, nan, -1.0],
            [30.0, 5.5, 1.0],  # a fraction in an integer column
            [high + 1, 5.0, 1.0],
            [float("inf"), 5.0, 1.0],
            [30.0, 5.0, 3.0],  # no such category
            [30.0, 5.0, 0.5],
            [30.0, 5.0, nan],
        ]
    )
    assert within(rows, table.spec).tolist() == [True, True] + [False] * 6


def test_pixels_out_of_range_are_dropped(images) -> None:
    pixels = torch.full((3, 1, 28, 28), 0.5)
    pixels[1, 0, 3, 3] = 1.1
    pixels[2, 0, 3, 3] = float("nan")
    assert within(pixels, images.spec).tolist() == [True, False, False]


def test_fingerprints_are_equal_for_what_a_model_cannot_tell_apart() -> None:
    rows = torch.tensor([[0.0, float("nan")], [-0.0, -float("nan")], [0.0, 1.0]])
    first, second, third = fingerprints(rows)
    assert first == second != third


def test_fingerprints_tell_many_samples_apart(images) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(20_000, 3, generator=generator)
    assert len(set(fingerprints(rows).tolist())) == 20_000
    swapped = torch.stack([rows[:, 1], rows[:, 0], rows[:, 2]], 1)
    assert not set(fingerprints(rows).tolist()) & set(fingerprints(swapped).tolist())
    assert len(set(fingerprints(images.train.inputs).tolist())) == len(images.train)


def test_images_of_odd_sizes_have_fingerprints() -> None:
    images = torch.zeros(2, 1, 3, 3, dtype=torch.uint8)
    images[1, 0, 2, 2] = 1
    assert len(set(fingerprints(images).tolist())) == 2
