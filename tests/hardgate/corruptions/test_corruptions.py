import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from hardgate import corruptions
from hardgate.errors import ContractError

MNIST = Path("data/mnist/t10k-images-idx3-ubyte.gz")


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    with gzip.open(MNIST) as file:
        pixels = np.frombuffer(file.read(16 + 300 * 784), np.uint8, offset=16)
    return torch.from_numpy(pixels.reshape(300, 1, 28, 28).copy()).float() / 255


def corrupt(name: str, images: torch.Tensor, severity: int = 3, seed: int = 0) -> torch.Tensor:
    return corruptions.corrupt(name, images, severity, np.random.default_rng(seed))


def test_there_are_the_fifteen_of_mnist_c() -> None:
    assert len(corruptions.NAMES) == 15
    assert set(corruptions.CORRUPTIONS) == set(corruptions.NAMES)


@pytest.mark.parametrize("name", corruptions.NAMES)
def test_a_corruption_keeps_its_contract(name: str, digits: torch.Tensor) -> None:
    before = digits.clone()
    corrupted = corrupt(name, digits)
    assert corrupted.shape == digits.shape and corrupted.dtype == digits.dtype
    assert corrupted.min() >= 0 and corrupted.max() <= 1  # NaN fails too
    assert torch.equal(digits, before), "the input was changed"
    assert (corrupted - digits).flatten(1).abs().amax(1).min() > 0.05, "an image came out clean"


@pytest.mark.parametrize("name", corruptions.NAMES)
def test_the_same_generator_gives_the_same_images(name: str, digits: torch.Tensor) -> None:
    assert torch.equal(corrupt(name, digits, seed=3), corrupt(name, digits, seed=3))


@pytest.mark.parametrize(
    "name", sorted(set(corruptions.NAMES) - {"scale", "brightness", "canny_edges"})
)
def test_chance_gives_other_images_for_another_seed(name: str, digits: torch.Tensor) -> None:
    assert not torch.equal(corrupt(name, digits, seed=3), corrupt(name, digits, seed=4))


@pytest.mark.parametrize("name", corruptions.NAMES)
def test_distance_from_clean_grows_with_severity(name: str, digits: torch.Tensor) -> None:
    distances = [
        float((corrupt(name, digits, severity) - digits).flatten(1).norm(dim=1).mean())
        for severity in corruptions.SEVERITIES
    ]
    assert distances == sorted(distances)
    assert distances[-1] > 1.05 * distances[0]


@pytest.mark.parametrize("name", corruptions.NAMES)
@pytest.mark.parametrize("shape", [(3, 3, 32, 32), (2, 1, 17, 40), (1, 3, 64, 48)])
def test_other_sizes_and_colours_are_corrupted_too(name: str, shape: tuple[int, ...]) -> None:
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    corrupted = corrupt(name, images, severity=5)
    assert corrupted.shape == images.shape
    assert corrupted.min() >= 0 and corrupted.max() <= 1
    assert not torch.equal(corrupted, images)


@pytest.mark.parametrize("name", corruptions.NAMES)
def test_no_images_are_no_trouble(name: str) -> None:
    assert corrupt(name, torch.empty(0, 1, 28, 28)).shape == (0, 1, 28, 28)


@pytest.mark.parametrize("name", corruptions.NAMES)
def test_many_images_are_corrupted_as_varied_as_few(name: str, monkeypatch, digits) -> None:
    monkeypatch.setattr(corruptions, "VALUES_AT_ONCE", 784 * 7)
    in_pieces = corrupt(name, digits)
    monkeypatch.undo()
    at_once = corrupt(name, digits)
    far = float((in_pieces - digits).flatten(1).norm(dim=1).mean())
    assert far == pytest.approx(float((at_once - digits).flatten(1).norm(dim=1).mean()), rel=0.1)


@pytest.mark.parametrize(
    ("name", "images", "severity", "said"),
    [
        ("snow", torch.zeros(1, 1, 8, 8), 1, "shot_noise"),
        ("fog", torch.zeros(1, 1, 8, 8), 0, "severity is 0"),
        ("fog", torch.zeros(1, 1, 8, 8), 6, "severity is 6"),
        ("fog", torch.zeros(1, 8, 8), 1, "(1, 8, 8)"),
        ("fog", torch.zeros(1, 1, 8, 8, dtype=torch.uint8), 1, "uint8"),
        ("fog", torch.full((1, 1, 8, 8), 255.0), 1, "255"),
        ("fog", torch.full((1, 1, 8, 8), float("nan")), 1, "nan"),
        ("fog", torch.full((1, 1, 8, 8), -0.1), 1, "-0.1"),
    ],
)
def test_what_cannot_be_corrupted_is_refused(name, images, severity, said) -> None:
    with pytest.raises(ContractError) as refusal:
        corrupt(name, images, severity)
    assert said in str(refusal.value)


def test_impulse_noise_hits_the_share_it_promises() -> None:
    grey = torch.full((200, 1, 28, 28), 0.5)
    corrupted = corrupt("impulse_noise", grey, severity=4)
    assert float((corrupted != 0.5).float().mean()) == pytest.approx(0.16, abs=0.005)
    assert float((corrupted == 1).float().mean()) == pytest.approx(0.08, abs=0.005)


def test_shot_noise_keeps_the_mean_and_spreads_as_poisson_counts_do() -> None:
    grey = torch.full((200, 1, 28, 28), 0.25)
    corrupted = corrupt("shot_noise", grey, severity=1)
    assert float(corrupted.mean()) == pytest.approx(0.25, abs=0.002)
    assert float(corrupted.var()) == pytest.approx(0.25 / 40, rel=0.05)


def test_translating_moves_by_whole_pixels() -> None:
    dot = torch.zeros(50, 1, 28, 28)
    dot[..., 14, 14] = 1
    moved = corrupt("translate", dot, severity=3)
    places = moved.flatten(1).argmax(1)
    rows, columns = places // 28, places % 28
    assert set(rows.tolist()) == {11, 17} and set(columns.tolist()) == {11, 17}
    assert moved.flatten(1).amax(1).min() > 0.999


def test_a_turn_keeps_the_centre_and_its_angle_on_oblong_images() -> None:
    image = torch.zeros(1, 1, 41, 81)
    image[..., 20, 35] = 1  # five pixels left of the centre
    turned = corrupt("rotate", image, severity=3)  # by 30 degrees
    place = int(turned.flatten().argmax())
    row, column = place // 81 - 20, place % 81 - 40
    assert abs(abs(row) - 2.5) <= 1 and abs(column + 4.33) <= 1


def test_canny_outlines_a_square_and_nothing_else() -> None:
    square = torch.zeros(1, 1, 28, 28)
    square[..., 8:20, 8:20] = 1
    outline = corrupt("canny_edges", square, severity=5)[0, 0]
    assert set(outline.unique().tolist()) == {0.0, 1.0}
    assert outline[10:18, 10:18].sum() == 0 and outline[:6].sum() == 0
    assert (outline[10:18].sum(1) == 2).all(), "each row crosses the outline twice"


def test_brightness_keeps_the_hue() -> None:
    colour = torch.tensor([0.4, 0.2, 0.1]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    raised = corrupt("brightness", colour, severity=4)[0, :, 0, 0]
    torch.testing.assert_close(raised, torch.tensor([0.8, 0.4, 0.2]))
