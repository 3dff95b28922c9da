"""New data in a file of the training data's format, read as the trained model would read them.

Columns, categories, shape and classes are those of the training split: nothing is fitted to the new
file. A category that training never saw is missing to the model, so it is missing here. Labels are
optional: one that is missing in a single row leaves all rows without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardgate.datasets import (
    Dataset,
    breast_cancer,
    encoding,
    folders,
    idx,
    image_folder,
    npz,
    reading,
)
from hardgate.datasets.breast_cancer import BreastCancer
from hardgate.datasets.idx import Idx
from hardgate.datasets.image_folder import ImageFolder
from hardgate.datasets.npz import Npz
from hardgate.datasets.table import Table
from hardgate.errors import DataError, ParamsError
from hardgate.records import ColumnType, ImageInput, InputSpec, TableInput

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Fresh:
    """New inputs as :class:`~hardgate.samples.Samples` holds them; ``labels`` if they are known."""

    inputs: Tensor
    labels: Tensor | None


def read(dataset: Dataset, path: str, spec: InputSpec, *, root: Path) -> Fresh:
    """Read ``path``, relative to ``root``, as ``spec`` says.

    Raises
    ------
    ParamsError
        If there is no such file.
    DataError
        If it is broken, or holds other columns, shapes or classes; names what.
    """
    place = root / path
    if not place.exists():
        raise ParamsError(f"new = {path!r}: there is no such file below the project root")
    inputs: NDArray[np.generic]
    labels: Labels | None
    match dataset:
        case Table():
            frame = reading.read_table(place, name=path, separator=dataset.separator)
            inputs, labels = _rows(frame, dataset.target, _table(spec), path)
        case BreastCancer():
            frame = reading.read_table(place, name=path)
            inputs, labels = _rows(frame, breast_cancer.ROLES.target, _table(spec), path)
        case Idx():
            inputs, labels = idx.read(place, name=path, dimensions=3)[:, None], None
        case Npz():
            inputs, labels = _archive(dataset, place, path, spec.classes)
        case ImageFolder():
            inputs, labels = _images(dataset, place, path, spec.classes)
    _check(inputs, labels, spec, path)
    return Fresh(
        torch.from_numpy(np.ascontiguousarray(inputs)),
        None if labels is None else torch.from_numpy(labels),
    )


def _table(spec: InputSpec) -> TableInput:
    if not isinstance(spec, TableInput):
        raise DataError("the model takes images, and the new data are a table")
    return spec


def _rows(
    frame: pd.DataFrame, target: str, spec: TableInput, path: str
) -> tuple[NDArray[np.float32], Labels | None]:
    known = frame.copy(deep=False)
    for column in spec.columns:
        if column.type is ColumnType.CATEGORICAL and column.name in known:
            known[column.name] = encoding.known_alone(known[column.name], column.categories)
    inputs = encoding.encode_inputs(known, spec, source=path)
    if target not in frame or frame[target].isna().any():
        return inputs, None
    return inputs, encoding.encode_labels(frame[target], spec.classes, source=path)


def _archive(
    dataset: Npz, place: Path, path: str, classes: Sequence[str]
) -> tuple[NDArray[np.uint8], Labels | None]:
    """Read every part of an archive, labelled if all parts are."""
    arrays = npz.read(place, path)
    parts = [part for part in npz.PARTS if f"{part}_images" in arrays]
    if not parts:
        wanted = ", ".join(f"{part}_images" for part in npz.PARTS)
        raise DataError(f"{path} holds no images; at least one array of {wanted} was expected")
    inputs = np.concatenate([npz.pixels_of(arrays, f"{part}_images", path) for part in parts])
    if any(f"{part}_labels" not in arrays for part in parts):
        return inputs, None
    numbers = np.concatenate([npz.labels_of(arrays, f"{part}_labels", path) for part in parts])
    names = {n: dataset.classes[n] if dataset.classes else str(n) for n in set(numbers.tolist())}
    column = pd.Series(numbers, name="label").map(names)
    return inputs, encoding.encode_labels(column, classes, source=path)


def _images(
    dataset: ImageFolder, place: Path, path: str, classes: Sequence[str]
) -> tuple[NDArray[np.uint8], Labels | None]:
    """Read every image; the folder it lies in is its label if all these are classes."""
    with folders.opened(place, name=path) as folder:
        names = sorted(name for name in folder.names() if image_folder.is_image(name))
        if not names:
            raise DataError(f"{path} holds no PNG or JPEG file")
        inputs = dataset.pixels(folder, names)
    parents = [PurePosixPath(name).parent.name for name in names]
    if not set(parents) <= set(classes):
        return inputs, None
    return inputs, np.array([list(classes).index(parent) for parent in parents], dtype=np.int64)


def _check(inputs: NDArray[np.generic], labels: Labels | None, spec: InputSpec, path: str) -> None:
    if isinstance(spec, ImageInput) and inputs.shape[1:] != spec.shape:
        raise DataError(f"{path} has images of {inputs.shape[1:]}, the model takes {spec.shape}")
    if labels is not None and len(labels) != len(inputs):
        raise DataError(f"{path} holds {len(inputs)} inputs and {len(labels)} labels")
