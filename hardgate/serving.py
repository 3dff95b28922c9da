"""Answers from a trained model, for whoever serves it. MLflow loads it by this module's name.

Rows come in as people write them: a frame with the raw columns, categories by their values, missing
cells empty. What a model cannot have meant is refused, never guessed at: a missing column, an
unknown category, a number that is infinite, an image of another shape or with pixels outside
[0, 1]. A missing cell is answered as training taught: every column may have some. Values beyond
the training split's range are answered too; whether they are strange is a question of drift.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from hardgate import candidates, devices
from hardgate.datasets.encoding import encode_inputs
from hardgate.errors import DataError
from hardgate.records import ColumnType, ImageInput, InputSpec
from hardgate.samples import as_floats

BATCH = 1024
SOURCE = "the request"


class Served:
    """A model behind ``predict``: raw inputs in, probabilities out."""

    def __init__(self, model: nn.Module, spec: InputSpec, device: torch.device) -> None:
        self.model = model
        self.spec = spec
        self.device = device

    def predict(
        self,
        inputs: pd.DataFrame | NDArray[Any],
        params: dict[str, Any] | None = None,  # noqa: ARG002  MLflow asks for it
    ) -> pd.DataFrame | NDArray[np.float32]:
        """Give each class's probability, shape ``(n, k)``; a frame for a frame.

        Parameters
        ----------
        inputs
            Tables: a frame with the raw columns, in any order, others ignored. Images: an array of
            shape ``(n, c, h, w)``, floats in [0, 1] or bytes.

        Raises
        ------
        DataError
            If the inputs are not what the model takes; names the column or the shape.
        """
        if isinstance(self.spec, ImageInput):
            return self._probabilities(read_images(inputs, self.spec))
        frame = read_rows(inputs)
        rows = torch.from_numpy(encode_inputs(frame, self.spec, source=SOURCE))
        return pd.DataFrame(
            self._probabilities(rows), columns=list(self.spec.classes), index=frame.index
        )

    def _probabilities(self, inputs: torch.Tensor) -> NDArray[np.float32]:
        parts = [np.empty((0, len(self.spec.classes)), dtype=np.float32)]
        with torch.inference_mode():
            for batch in torch.split(inputs, BATCH) if len(inputs) else ():
                logits = self.model(as_floats(batch.to(self.device)))
                parts.append(logits.softmax(dim=1).cpu().numpy())
        return np.concatenate(parts)


def load(directory: Path, device: torch.device) -> Served:
    """Load the model in ``directory``, after the checks of :func:`hardgate.candidates.load`."""
    return Served(candidates.load(directory, device), candidates.read_spec(directory), device)


def example(spec: InputSpec, inputs: torch.Tensor) -> pd.DataFrame | NDArray[np.float32]:
    """Write model inputs as ``predict`` takes them, for a signature and to try the model with.

    Categories that look like numbers become numbers, as they were in the raw file.
    """
    if isinstance(spec, ImageInput):
        images: NDArray[np.float32] = as_floats(inputs).numpy()
        return images
    values = inputs.numpy().astype(np.float64)
    columns: dict[str, Any] = {}
    for at, column in enumerate(spec.columns):
        columns[column.name] = values[:, at]
        if column.categories:
            names = pd.Series([*column.categories, None]).take(values[:, at].astype(int))
            numbers = pd.to_numeric(names, errors="coerce")
            plain = numbers.isna().sum() == names.isna().sum()
            columns[column.name] = (numbers.astype(float) if plain else names).to_numpy()
    return pd.DataFrame(columns)


def made_up(spec: InputSpec, count: int) -> torch.Tensor:
    """Make inputs that are nobody's, from the description of the columns alone.

    They show what the model takes where rows of people must not travel with it.
    """
    steps = torch.linspace(-1, 1, count)
    if isinstance(spec, ImageInput):
        return ((1 + steps) / 2)[:, None, None, None].repeat(1, *spec.shape)
    columns = []
    for column in spec.columns:
        values = (column.mean + column.scale * steps).clamp(column.low, column.high)
        if column.categories:
            values = (torch.arange(count) % len(column.categories)).float()
        columns.append(values.round() if column.type is ColumnType.INTEGER else values)
    return torch.stack(columns, dim=1)


def read_rows(inputs: pd.DataFrame | NDArray[Any]) -> pd.DataFrame:
    """Refuse what is not a frame with one column per name."""
    if not isinstance(inputs, pd.DataFrame):
        raise DataError(
            f"the model takes a data frame with named columns; found {type(inputs).__name__}"
        )
    if not inputs.columns.is_unique:
        twice = inputs.columns[inputs.columns.duplicated()][0]
        raise DataError(f"{SOURCE} has column {twice!r} twice; name each column once")
    return inputs


def read_images(inputs: pd.DataFrame | NDArray[Any], spec: ImageInput) -> torch.Tensor:
    """Refuse what is not images of the model's shape with pixels in [0, 1]."""
    images = np.asarray(inputs)
    if images.ndim != 4 or images.shape[1:] != spec.shape:
        raise DataError(
            f"the model takes images of shape (n, {', '.join(map(str, spec.shape))}); "
            f"found an array of shape {images.shape}"
        )
    if images.dtype == np.uint8:
        return torch.from_numpy(images.copy())
    if images.dtype.kind != "f":
        raise DataError(f"pixels must be floats in [0, 1] or bytes; found {images.dtype}")
    low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
    if not (low >= 0 and high <= 1):  # written so that NaN is refused too
        raise DataError(f"pixels must lie in [0, 1]; found {low:g} to {high:g}")
    return torch.from_numpy(images.astype(np.float32))


def _load_pyfunc(data_path: str) -> Served:
    """Load a model the way MLflow's ``loader_module`` asks for it."""
    return load(Path(data_path), devices.pick())
