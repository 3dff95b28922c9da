"""NPZ in MedMNIST's layout; arrays of objects are never read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardgate.datasets import Npz
from hardgate.errors import DataError
from hardgate.records import ImageInput

COLOUR = np.random.default_rng(0).integers(0, 256, (12, 5, 4, 3), dtype=np.uint8)
LABELS = np.array([[0], [1]] * 6)
NPZ = Npz(kind="npz", path="set.npz")


def arrays(pixels: np.ndarray[Any, Any] = COLOUR) -> dict[str, np.ndarray[Any, Any]]:
    parts = {"train": slice(6), "val": slice(6, 8), "test": slice(8, 12)}
    return {
        f"{part}_{what}": source[cut]
        for part, cut in parts.items()
        for what, source in (("images", pixels), ("labels", LABELS))
    }


def save(folder: Path, **changed: Any) -> Path:
    content = {**arrays(), **changed}
    np.savez_compressed(
        folder / "set.npz", **{key: array for key, array in content.items() if array is not None}
    )
    return folder


def test_colour_images_come_channels_first_with_the_given_splits(tmp_path: Path) -> None:
    raw = NPZ.load(save(tmp_path))
    assert raw.images is not None
    assert raw.given_split is not None
    np.testing.assert_array_equal(raw.images, COLOUR.transpose(0, 3, 1, 2))
    assert raw.given_split.tolist() == ["train"] * 6 + ["held_out"] * 2 + ["test"] * 4
    _, labels, spec = NPZ.encode(raw, np.arange(6))
    assert labels.tolist() == [0, 1] * 6
    assert isinstance(spec, ImageInput)
    assert spec.shape == (3, 5, 4)
    train = COLOUR[:6].reshape(-1, 3) / 255
    assert spec.mean == pytest.approx(train.mean(axis=0))
    assert spec.scale == pytest.approx(train.std(axis=0))


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    grey = {key: a[..., 0] for key, a in arrays().items() if key.endswith("images")}
    raw = NPZ.load(save(tmp_path, **grey))
    assert raw.images is not None
    assert raw.images.shape == (12, 1, 5, 4)


def test_without_val_arrays_there_is_train_and_test(tmp_path: Path) -> None:
    raw = NPZ.load(save(tmp_path, val_images=None, val_labels=None))
    assert raw.given_split is not None
    assert raw.given_split.tolist() == ["train"] * 6 + ["test"] * 4


def test_an_array_of_objects_is_refused_unread(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "code ran",))

    labels = np.array([Runs()] * 6, dtype=object)
    with pytest.raises(DataError, match=r"set.npz: train_labels cannot be read: Object arrays"):
        NPZ.load(save(tmp_path, train_labels=labels))
    assert not (tmp_path / "code ran").exists()


def test_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    import pickle

    (tmp_path / "set.npz").write_bytes(pickle.dumps({"train_images": 1}))
    with pytest.raises(DataError, match=r"set.npz: the archive cannot be read"):
        NPZ.load(tmp_path)


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "set.npz").open("wb") as file:
        np.save(file, COLOUR)
    with pytest.raises(DataError, match=r"set.npz is one array"):
        NPZ.load(tmp_path)


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    save(tmp_path)
    content = (tmp_path / "set.npz").read_bytes()
    (tmp_path / "set.npz").write_bytes(content[:-50])
    with pytest.raises(DataError, match=r"set.npz: the archive cannot be read"):
        NPZ.load(tmp_path)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"test_images": None}, "lacks the array test_images; it has train_images"),
        ({"train_labels": None}, "lacks the array train_labels"),
        ({"val_labels": None}, "lacks the array val_labels"),
        ({"train_images": COLOUR[:6] / 255}, "train_images is float64, expected uint8"),
        ({"train_images": COLOUR[:6, ..., :2]}, "train_images has shape"),
        ({"train_images": COLOUR[:6, :, :, :, None]}, "train_images has shape"),
        ({"train_images": COLOUR[:5]}, "but there are 6 train_labels"),
        ({"test_images": COLOUR[8:, :4]}, "test_images has shape"),
        ({"train_labels": np.eye(6, dtype=int)}, "train_labels is int64 of shape.*one integer"),
        ({"train_labels": np.full(6, 0.5)}, "train_labels is float64"),
    ],
)
def test_another_layout_is_refused(tmp_path: Path, changed: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DataError, match=rf"set\.npz:? ?.*{complaint}"):
        NPZ.load(save(tmp_path, **changed))
