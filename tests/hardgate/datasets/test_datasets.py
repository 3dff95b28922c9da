"""What every member of the union does alike."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from hardgate import provenance, splits
from hardgate.datasets import Dataset, fetching
from hardgate.datasets.raw import Raw
from hardgate.records import TableInput

UNION = TypeAdapter(Dataset)
KINDS = [get_args(m.model_fields["kind"].annotation)[0] for m in get_args(get_args(Dataset)[0])]
PIXELS = np.random.default_rng(0).integers(0, 256, (60, 5, 5), dtype=np.uint8)
LABELS = np.arange(60, dtype=np.uint8) % 3


def make_table(folder: Path) -> dict[str, Any]:
    pd.DataFrame({"x": PIXELS[:, 0, 0], "y": LABELS}).to_csv(folder / "rows.csv", index=False)
    return {"path": "rows.csv", "target": "y"}


def make_idx(folder: Path) -> dict[str, Any]:
    sources = {}
    for part, cut in (("train", slice(40)), ("test", slice(40, 60))):
        for what, array in (("images", PIXELS[cut]), ("labels", LABELS[cut])):
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{part}_{what}").write_bytes(header + array.tobytes())
            sources[f"{part}_{what}"] = {"path": f"{part}_{what}"}
    return sources


def make_npz(folder: Path) -> dict[str, Any]:
    arrays = {"train_images": PIXELS[:40], "test_images": PIXELS[40:]}
    labels = {"train_labels": LABELS[:40], "test_labels": LABELS[40:]}
    np.savez(folder / "set.npz", allow_pickle=False, **arrays, **labels)
    return {"path": "set.npz"}


def make_image_folder(folder: Path) -> dict[str, Any]:
    for at, (image, label) in enumerate(zip(PIXELS, LABELS, strict=True)):
        path = folder / "images" / str(label) / f"{at}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return {"path": "images", "channels": 1}


def make_breast_cancer(folder: Path) -> dict[str, Any]:
    return {}


MAKERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "table": make_table,
    "idx": make_idx,
    "npz": make_npz,
    "image-folder": make_image_folder,
    "breast-cancer": make_breast_cancer,
}


@pytest.fixture(params=KINDS)
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return UNION.validate_python({"kind": request.param, **MAKERS[request.param](tmp_path)})


def assigned(raw: Raw) -> splits.Assignment:
    test = 0.25 if raw.given_split is None else None
    return splits.assign(raw, splits.Shares(held_out=0.2, test=test), seed=3)


def test_the_way_from_file_to_arrays(dataset: Any, tmp_path: Path) -> None:
    raw = dataset.load(tmp_path)
    assignment = assigned(raw)
    inputs, labels, spec = dataset.encode(raw, assignment.rows("train"))
    assert len(inputs) == len(labels) == len(raw.frame)
    assert labels.dtype == np.int64
    assert set(labels.tolist()) == set(range(len(spec.classes)))
    assert inputs.flags.c_contiguous
    if isinstance(spec, TableInput):
        assert inputs.dtype == np.float32
        assert inputs.shape[1] == len(spec.columns)
    else:
        assert inputs.dtype == np.uint8
        assert inputs.shape[1:] == spec.shape
    audited = pd.concat([raw.frame, splits.audit(raw, assignment)], axis=1)
    assert set(splits.AUDIT_COLUMNS) < set(audited.columns)


def test_reading_twice_gives_the_same(dataset: Any, tmp_path: Path) -> None:
    raw, again = dataset.load(tmp_path), dataset.load(tmp_path)
    pd.testing.assert_frame_equal(raw.frame, again.frame)
    assert raw.files == again.files
    assert (assigned(raw).codes == assigned(again).codes).all()


def test_every_file_is_recorded_with_its_true_digest(dataset: Any, tmp_path: Path) -> None:
    for file in dataset.load(tmp_path).files:
        path = fetching.locate(file, root=tmp_path)
        assert not file.path.is_absolute()
        found = provenance.sha256_tree if path.is_dir() else provenance.sha256_file
        assert file.sha256 == found(path)


def test_reading_leaves_no_file_behind(dataset: Any, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    dataset.load(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_statistics_do_not_see_the_test_split(dataset: Any, tmp_path: Path) -> None:
    raw = dataset.load(tmp_path)
    train = assigned(raw).rows("train")
    spec = dataset.encode(raw, train).spec
    if raw.images is not None:
        changed = raw.images.copy()
        rest = np.setdiff1d(np.arange(len(changed)), train)
        changed[rest] = 255
        raw = Raw(**{**vars(raw), "images": changed})
    else:
        frame = raw.frame.copy()
        rest = np.setdiff1d(np.arange(len(frame)), train)
        for name in raw.inputs:
            frame[name] = frame[name].astype(np.float64)
            frame.loc[rest, name] = 1e6
        raw = Raw(**{**vars(raw), "frame": frame})
    assert dataset.encode(raw, train).spec == spec


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="'table', 'idx', 'npz'"):
        UNION.validate_python({"kind": "tabel"})


def test_breast_cancer_is_what_scikit_learn_says_it_is(tmp_path: Path) -> None:
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer(as_frame=True)
    raw = UNION.validate_python({"kind": "breast-cancer"}).load(tmp_path)
    pd.testing.assert_frame_equal(raw.frame[list(raw.inputs)], bunch.data)
    assert raw.frame[raw.target].tolist() == bunch.target_names[bunch.target].tolist()
