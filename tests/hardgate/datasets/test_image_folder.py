"""A folder per class, in a directory or a zip file."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hardgate import provenance
from hardgate.datasets import ImageFolder, folders
from hardgate.errors import DataError, ParamsError
from hardgate.records import ImageInput


def paint(path: Path, level: int, *, size: tuple[int, int] = (4, 6), mode: str = "RGB") -> None:
    height, width = size
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((height, width, 3), level, dtype=np.uint8)
    pixels[0, 0] = (255, 0, 0)
    Image.fromarray(pixels).convert(mode).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for at, name in enumerate(("cat", "dog")):
        for number in range(3):
            paint(tmp_path / "pets" / name / f"{number}.png", 100 * at + number)
    (tmp_path / "pets" / "README.txt").write_text("not an image")
    (tmp_path / "pets" / "cat" / "._0.png").write_text("not an image either")
    return tmp_path


def zipped(folder: Path, *, inside: str = "") -> Path:
    path = folder / "pets.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in provenance.files_below(folder / "pets"):
            archive.write(folder / "pets" / file, inside + file.as_posix())
    return path


def pets(**params: object) -> ImageFolder:
    return ImageFolder.model_validate({"kind": "image-folder", "path": "pets", **params})


def test_folders_are_classes(folder: Path) -> None:
    raw = pets().load(folder)
    assert raw.images is not None
    assert raw.images.shape == (6, 3, 4, 6)
    assert raw.images[0, :, 0, 0].tolist() == [255, 0, 0]
    assert raw.frame["label"].tolist() == ["cat"] * 3 + ["dog"] * 3
    assert raw.frame["file"].tolist()[0] == "cat/0.png"
    assert raw.given_split is None
    _, labels, spec = pets().encode(raw, np.arange(6))
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert isinstance(spec, ImageInput)
    assert (spec.shape, spec.classes) == ((3, 4, 6), ("cat", "dog"))


def test_grey_is_one_channel(folder: Path) -> None:
    raw = pets(channels=1).load(folder)
    assert raw.images is not None
    assert raw.images.shape == (6, 1, 4, 6)
    assert raw.images[3, 0, 2, 2] == 100


def test_train_and_test_folders_are_the_given_split(folder: Path) -> None:
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            paint(folder / "split" / part / name / "0.jpg", 9)
    raw = pets(path="split").load(folder)
    assert raw.given_split is not None
    assert raw.given_split.tolist() == ["test", "test", "train", "train"]
    assert raw.frame["label"].tolist() == ["cat", "dog", "cat", "dog"]


@pytest.mark.parametrize("inside", ["", "pets/"])
def test_a_zip_file_is_read_like_a_folder(folder: Path, inside: str) -> None:
    path = zipped(folder, inside=inside)
    raw, same = pets().load(folder), pets(path="pets.zip").load(folder)
    assert raw.images is not None
    np.testing.assert_array_equal(raw.images, same.images)
    assert raw.frame["label"].tolist() == same.frame["label"].tolist()
    assert same.files[0].sha256 == provenance.sha256_file(path)
    assert not (folder / "pets" / "pets").exists()


def test_a_zip_file_can_come_from_a_url(folder: Path) -> None:
    path = zipped(folder)
    described = pets(path=path.as_uri(), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(described.load(folder, cache=folder / "cache").frame) == 6


def test_the_digest_of_a_folder_covers_every_file(folder: Path) -> None:
    sha256 = pets().load(folder).files[0].sha256
    assert sha256 == provenance.sha256_tree(folder / "pets")
    pets(sha256=sha256).load(folder)
    paint(folder / "pets" / "dog" / "2.png", 7)
    with pytest.raises(DataError, match="pets has SHA-256"):
        pets(sha256=sha256).load(folder)


def test_images_of_several_sizes_are_refused_or_resized(folder: Path) -> None:
    paint(folder / "pets" / "dog" / "9.png", 7, size=(8, 5))
    with pytest.raises(DataError, match=r"pets/dog/9.png is 8 x 5 pixels, cat/0.png 4 x 6"):
        pets().load(folder)
    raw = pets(size=(2, 3)).load(folder)
    assert raw.images is not None
    assert raw.images.shape == (7, 3, 2, 3)


def test_an_image_is_turned_as_its_camera_says(folder: Path) -> None:
    turned = Image.new("RGB", (4, 6))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    turned.save(folder / "pets" / "dog" / "9.jpg", exif=exif)
    raw = pets().load(folder)
    assert raw.images is not None
    assert raw.images.shape == (7, 3, 4, 6)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_other_modes_of_eight_bits_are_brought_to_colour(folder: Path, mode: str) -> None:
    image = Image.new(mode, (6, 4))
    name = folder / "pets" / "dog" / "9.png"
    image.save(name, **({"transparency": b"\x00\xff"} if mode == "P" else {}))
    raw = pets().load(folder)
    assert raw.images is not None
    assert raw.images.shape == (7, 3, 4, 6)


def test_sixteen_bits_are_refused(folder: Path) -> None:
    Image.new("I;16", (6, 4)).save(folder / "pets" / "dog" / "9.png")
    with pytest.raises(DataError, match=r"pets/dog/9.png .*mode I;16, expected 8 bits"):
        pets().load(folder)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_truncated_image_is_refused(folder: Path, ending: str) -> None:
    path = folder / "pets" / "dog" / f"1.{ending}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=rf"pets/dog/1.{ending} is not a readable PNG or JPEG"):
        pets(size=(4, 6)).load(folder)


def test_a_file_that_is_no_image_is_refused(folder: Path) -> None:
    (folder / "pets" / "dog" / "1.png").write_text("hello")
    with pytest.raises(DataError, match=r"pets/dog/1.png is not a readable PNG or JPEG: cannot id"):
        pets().load(folder)


def test_an_image_that_would_fill_the_memory_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(DataError, match=r"cat/0.png is not a readable.*decompression bomb"):
        pets().load(folder)


def test_a_zipped_file_that_would_fill_the_memory_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipped(folder)
    monkeypatch.setattr(folders, "LARGEST", 20)
    with pytest.raises(DataError, match=r"cat/0.png .*unpacks to .* bytes, more than 20"):
        pets(path="pets.zip").load(folder)


def test_a_broken_zip_file_is_refused(folder: Path) -> None:
    path = zipped(folder)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"pets.zip is neither a folder nor a readable zip file"):
        pets(path="pets.zip").load(folder)


def test_a_damaged_file_in_a_zip_is_refused(folder: Path) -> None:
    path = zipped(folder)
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 10] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"pets.zip/.*png is not a readable PNG or JPEG"):
        pets(path="pets.zip").load(folder)


def test_images_outside_the_class_folders_are_refused(folder: Path) -> None:
    paint(folder / "pets" / "stray.png", 7)
    with pytest.raises(DataError, match=r"pets/stray.png is not in a folder per class"):
        pets().load(folder)


def test_a_folder_without_images_is_refused(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no PNG or JPEG"):
        pets(path="empty").load(folder)


def test_a_missing_folder_is_a_mistake_in_params(folder: Path) -> None:
    with pytest.raises(ParamsError, match="cats is not there"):
        pets(path="cats").load(folder)
