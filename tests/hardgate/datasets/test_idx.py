"""IDX: the header must be the right one and must tell the truth."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from hardgate.datasets import Idx
from hardgate.datasets.idx import read
from hardgate.errors import DataError, ParamsError
from hardgate.records import ImageInput

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 3, 4), dtype=np.uint8)
LABELS = np.array([0, 1, 7, 0, 1, 7], dtype=np.uint8)
NAMES = ("train_images", "train_labels", "test_images", "test_labels")


def packed(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, array in zip(NAMES, (IMAGES, LABELS, IMAGES[::-1], LABELS[::-1]), strict=True):
        (tmp_path / name).write_bytes(gzip.compress(packed(array)))
    return tmp_path


def dataset(**params: object) -> Idx:
    sources = {name: {"path": name} for name in NAMES}
    return Idx.model_validate({"kind": "idx", **sources, **params})


def test_images_labels_and_split_are_read(folder: Path) -> None:
    raw = dataset().load(folder)
    assert raw.images is not None
    assert raw.given_split is not None
    np.testing.assert_array_equal(raw.images[:, 0], np.concatenate([IMAGES, IMAGES[::-1]]))
    assert raw.given_split.tolist() == ["train"] * 6 + ["test"] * 6
    assert [str(file.path) for file in raw.files] == list(NAMES)
    inputs, labels, spec = dataset().encode(raw, np.arange(6))
    assert inputs.shape == (12, 1, 3, 4)
    assert inputs.dtype == np.uint8
    assert labels.tolist() == [0, 1, 2, 0, 1, 2, 2, 1, 0, 2, 1, 0]
    assert isinstance(spec, ImageInput)
    assert (spec.shape, spec.classes) == ((1, 3, 4), ("0", "1", "7"))


def test_classes_can_be_named_by_label_number(folder: Path) -> None:
    described = dataset(classes=["zero", "one", "2", "3", "4", "5", "6", "seven"])
    raw = described.load(folder)
    assert described.encode(raw, np.arange(6)).spec.classes == ("zero", "one", "seven")
    described = dataset(classes=["zero", "one"])
    with pytest.raises(ParamsError, match="classes has 2 names; none is for label 7"):
        described.encode(raw, np.arange(6))


def test_plain_files_are_read_as_well_as_gz(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(packed(IMAGES))
    np.testing.assert_array_equal(read(tmp_path / "images", name="images", dimensions=3), IMAGES)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (packed(LABELS), "begins with 00 00 08 01, expected 00 00 08 03"),
        (b"\x89PNG" + bytes(40), "begins with 89 50 4e 47, expected 00 00 08 03"),
        (b"", "begins with nothing, expected 00 00 08 03"),
        (packed(IMAGES)[:-1], r"holds 71 bytes, but its header says \(6, 3, 4\)"),
        (packed(IMAGES) + b"!", r"holds more bytes, but its header says \(6, 3, 4\)"),
        (packed(IMAGES)[:10], "is cut off or broken: it ends within its header"),
        (packed(IMAGES[:0]), r"is empty: its header says \(0, 3, 4\)"),
        (
            bytes([0, 0, 8, 3]) + b"\xff" * 12 + bytes(9),
            r"holds 9 bytes, but its header says \(4294967295",
        ),
    ],
)
def test_a_file_that_is_not_what_its_header_says_is_refused(
    folder: Path, content: bytes, complaint: str
) -> None:
    (folder / "test_images").write_bytes(content)
    with pytest.raises(DataError, match=f"test_images {complaint}"):
        dataset().load(folder)


def test_a_truncated_gz_is_refused(folder: Path) -> None:
    whole = (folder / "train_images").read_bytes()
    (folder / "train_images").write_bytes(whole[:-12])
    with pytest.raises(DataError, match=r"train_images is cut off or broken: .*end-of-stream"):
        dataset().load(folder)


def test_a_gz_with_a_wrong_checksum_is_refused(folder: Path) -> None:
    whole = bytearray((folder / "train_images").read_bytes())
    whole[-6] ^= 0xFF
    (folder / "train_images").write_bytes(whole)
    with pytest.raises(DataError, match=r"train_images is cut off or broken: CRC"):
        dataset().load(folder)


def test_images_and_labels_must_be_as_many(folder: Path) -> None:
    (folder / "test_labels").write_bytes(packed(LABELS[:5]))
    with pytest.raises(DataError, match="test_images holds 6 images, but test_labels 5 labels"):
        dataset().load(folder)


def test_train_and_test_images_must_be_of_one_size(folder: Path) -> None:
    (folder / "test_images").write_bytes(packed(IMAGES.transpose(0, 2, 1).copy()))
    with pytest.raises(DataError, match=r"test_images has images of \(4, 3\) pixels.*\(3, 4\)"):
        dataset().load(folder)


def test_a_changed_file_is_refused(folder: Path) -> None:
    described = dataset(test_labels={"path": "test_labels", "sha256": "0" * 64})
    with pytest.raises(DataError, match="test_labels has SHA-256"):
        described.load(folder)


def test_a_missing_file_is_a_mistake_in_params(folder: Path) -> None:
    (folder / "test_labels").unlink()
    with pytest.raises(ParamsError, match="test_labels is not there"):
        dataset().load(folder)
