"""What an explanation found: attributions, importance, measurements, and their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardgate import provenance, tensors
from hardgate.attribution.features import Features
from hardgate.attribution.trials import Array, Deletion
from hardgate.records import InputSpec, Measurement, TableInput


@dataclass(frozen=True)
class Attributions:
    """Why a model scores some samples as it does.

    ``values`` has the shape of ``inputs``, in log-odds of ``classes``; ``base[i]`` plus the sum of
    ``values[i]`` is ``outputs[i]``, within the additivity error. ``second_opinion`` is another
    method's answer, in the same shape and unit.
    """

    explainer: str
    seed: int
    background_sha256: str
    background_rows: Tensor  # in the raw file, shape (b,)
    rows: Tensor  # in the raw file, shape (n,)
    inputs: Tensor
    labels: Tensor
    classes: Tensor
    outputs: Array
    base: Array
    values: Array
    second_method: str
    second_opinion: Array
    features: Features
    importance: dict[str, Measurement]  # mean absolute attribution per feature
    measurements: dict[str, Measurement]
    deletion: Deletion

    def contributions(self) -> Array:
        """Sum the attributions by feature, shape ``(n, features)``."""
        return self.features.sum(torch.from_numpy(self.values)).numpy()

    def ranking(self) -> tuple[str, ...]:
        """Name the features, the most important first."""
        return tuple(sorted(self.importance, key=lambda name: -self.importance[name].value))

    def telling(self) -> dict[str, int]:
        """Pick single decisions worth a look: the highest score, the lowest, and one between.

        Between is closest to even odds for two classes, and in the middle for more, whose scores
        are those of the predicted class.
        """
        order = np.argsort(self.outputs, kind="stable")
        binary = bool((self.classes == 1).all())
        between = np.abs(self.outputs).argmin() if binary else order[len(order) // 2]
        return {"highest": int(order[-1]), "between": int(between), "lowest": int(order[0])}

    def write(self, path: Path, *, recipients: Sequence[str] = ()) -> None:
        """Write everything numeric as safetensors, whole or not at all."""
        tensors.write(self._tensors(), path, metadata=self._metadata(), recipients=recipients)

    def plot(self, directory: Path, spec: InputSpec) -> list[Path]:
        """Draw what there is to see into PNG files of ``directory``, and name them."""
        from hardgate.attribution import image_plots, table_plots

        directory.mkdir(parents=True, exist_ok=True)
        if isinstance(spec, TableInput):
            return table_plots.draw(self, spec, directory)
        return image_plots.draw(self, spec, directory)

    def _tensors(self) -> dict[str, Tensor]:
        def plain(array: NDArray[np.float64]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array))

        return {
            "values": plain(self.values),
            "base": plain(self.base),
            "outputs": plain(self.outputs),
            "second_opinion": plain(self.second_opinion),
            "inputs": self.inputs.contiguous(),
            "classes": self.classes.contiguous(),
            "labels": self.labels.contiguous(),
            "rows": self.rows.contiguous(),
            "background_rows": self.background_rows.contiguous(),
        }

    def _metadata(self) -> dict[str, str]:
        about = {
            "explainer": self.explainer,
            "second_method": self.second_method,
            "seed": self.seed,
            "background_sha256": self.background_sha256,
        }
        # One key: safetensors writes several in any order, and digests of equal results differ.
        return {"about": provenance.canonical_json(about).decode()}
