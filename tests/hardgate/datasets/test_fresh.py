"""New files of every format, read as the trained model reads."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from hardgate.datasets import BreastCancer, Idx, ImageFolder, Npz, Table, breast_cancer, fresh
from hardgate.errors import DataError, ParamsError
from hardgate.records import ImageInput, TableInput

FRAME = pd.DataFrame({"age": [30, 40, 50, 60], "city": ["A", "B", "A", "B"], "late": [0, 1, 0, 1]})
TABLE = Table(kind="table", path="old.csv", target="late", categorical=("city",), integer=("age",))
IMAGES = ImageInput(kind="images", shape=(1, 2, 3), classes=("0", "1"), mean=(0.5,), scale=(0.2,))


@pytest.fixture
def spec(tmp_path: Path) -> TableInput:
    FRAME.to_csv(tmp_path / "old.csv", index=False)
    encoded = TABLE.encode(TABLE.load(tmp_path), np.arange(4))
    assert isinstance(encoded.spec, TableInput)
    return encoded.spec


def test_a_table_is_read_with_the_categories_of_training(spec: TableInput, tmp_path: Path) -> None:
    """A category that training never saw is missing; columns stand in the model's order."""
    new = pd.DataFrame({"late": [1, 0], "city": ["B", "Z"], "age": [20, None]})
    new.to_csv(tmp_path / "new.csv", index=False)
    found = fresh.read(TABLE, "new.csv", spec, root=tmp_path)
    assert found.inputs[0].tolist() == [20, 1]
    assert torch.isnan(found.inputs[1, 0])
    assert found.inputs[1, 1] == -1
    assert found.labels is not None
    assert found.labels.tolist() == [1, 0]


@pytest.mark.parametrize("labels", [None, [1, None]])
def test_labels_are_optional(
    labels: list[int | None] | None, spec: TableInput, tmp_path: Path
) -> None:
    new = FRAME.head(2).drop(columns="late")
    if labels is not None:
        new = new.assign(late=labels)
    new.to_csv(tmp_path / "new.csv", index=False)
    assert fresh.read(TABLE, "new.csv", spec, root=tmp_path).labels is None


def test_a_lost_column_and_a_lost_file_are_named(spec: TableInput, tmp_path: Path) -> None:
    FRAME.drop(columns="age").to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(DataError, match=r"new\.csv lacks the column\(s\) 'age'"):
        fresh.read(TABLE, "new.csv", spec, root=tmp_path)
    with pytest.raises(ParamsError, match="no such file"):
        fresh.read(TABLE, "other.csv", spec, root=tmp_path)


def test_new_tumours_come_as_a_table(tmp_path: Path) -> None:
    dataset = BreastCancer(kind="breast-cancer")
    raw = dataset.load(tmp_path)
    raw.frame.head(20).to_csv(tmp_path / "new.csv", index=False)
    encoded = dataset.encode(raw, np.arange(len(raw.frame)))
    found = fresh.read(dataset, "new.csv", encoded.spec, root=tmp_path)
    assert found.inputs.shape == (20, len(breast_cancer.COLUMNS))
    assert torch.equal(found.inputs, torch.from_numpy(encoded.inputs[:20]))
    assert found.labels is not None
    assert found.labels.tolist() == encoded.labels[:20].tolist()


def test_an_idx_file_holds_images_alone(tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint8)
    header = struct.pack(">4B3I", 0, 0, 8, 3, 2, 2, 3)
    (tmp_path / "new.idx").write_bytes(header + pixels.tobytes())
    dataset = Idx.model_validate(
        {"kind": "idx"}
        | {
            f"{part}_{what}": {"path": "x"}
            for part in ("train", "test")
            for what in ("images", "labels")
        }
    )
    found = fresh.read(dataset, "new.idx", IMAGES, root=tmp_path)
    assert found.inputs.flatten().tolist() == pixels.tolist()
    assert found.labels is None
    other = IMAGES.model_copy(update={"shape": (1, 3, 3)})
    with pytest.raises(DataError, match=r"images of \(1, 2, 3\), the model takes \(1, 3, 3\)"):
        fresh.read(dataset, "new.idx", other, root=tmp_path)


def test_an_archive_holds_what_parts_it_has(tmp_path: Path) -> None:
    dataset = Npz(kind="npz", path="old.npz")
    images = np.zeros((3, 2, 3), dtype=np.uint8)
    np.savez(tmp_path / "new.npz", test_images=images, test_labels=np.array([[1], [0], [1]]))
    found = fresh.read(dataset, "new.npz", IMAGES, root=tmp_path)
    assert found.inputs.shape == (3, 1, 2, 3)
    assert found.labels is not None
    assert found.labels.tolist() == [1, 0, 1]
    np.savez(tmp_path / "bare.npz", train_images=images)
    assert fresh.read(dataset, "bare.npz", IMAGES, root=tmp_path).labels is None
    np.savez(tmp_path / "none.npz", other=images)
    with pytest.raises(DataError, match="holds no images"):
        fresh.read(dataset, "none.npz", IMAGES, root=tmp_path)


def test_a_folder_is_labelled_by_its_folders_if_these_are_classes(tmp_path: Path) -> None:
    dataset = ImageFolder(kind="image-folder", path="old", channels=1)
    for folder in ("new/0", "new/1", "loose"):
        (tmp_path / folder).mkdir(parents=True)
        Image.new("L", (3, 2), 7).save(tmp_path / folder / "a.png")
    found = fresh.read(dataset, "new", IMAGES, root=tmp_path)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1]
    assert fresh.read(dataset, "loose", IMAGES, root=tmp_path).labels is None
