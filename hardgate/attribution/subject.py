"""What is explained and against what, and the methods that fit it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hardgate import provenance
from hardgate.attribution import gradients, permutation, trials
from hardgate.attribution.features import Features
from hardgate.attribution.scores import Score
from hardgate.attribution.settings import Explaining
from hardgate.attribution.trials import Array
from hardgate.records import InputSpec, Measurement, TableInput


@dataclass(frozen=True)
class Subject:
    """What is explained, and against what."""

    params: Explaining
    spec: InputSpec
    score: Score
    inputs: Tensor
    classes: Tensor
    background: Tensor
    features: Features
    seed: int

    def attribute(self, inputs: Tensor) -> Array:
        """Give SHAP values of as many inputs, or of the first so many, in their shape."""
        classes = self.classes[: len(inputs)]
        if isinstance(self.spec, TableInput):
            values = permutation.shapley(
                self.score, inputs, self.background, classes, seed=self.seed
            )
        else:
            values = gradients.expected_gradients(
                self.score, inputs, self.background, classes, steps=self.params.path_steps
            )
        return values.numpy()

    def by_feature(self, values: Array) -> Array:
        """Sum attributions by feature."""
        return self.features.sum(torch.from_numpy(values)).numpy()

    def mean(self, numbers: Array) -> Measurement:
        """Measure the mean of one number per sample."""
        return trials.mean(numbers, seed=self.seed)

    def explainer(self) -> str:
        """Name the method of :meth:`attribute`."""
        if isinstance(self.spec, TableInput):
            return "SHAP values by antithetic permutations"
        return "SHAP values by expected gradients on midpoints"

    def second_opinion(self) -> tuple[str, Array]:
        """Ask gradients, and name how: on tables along paths, where they are another method."""
        ask = self.score, self.inputs, self.background, self.classes
        if isinstance(self.spec, TableInput):
            values = gradients.expected_gradients(
                *ask, steps=self.params.path_steps, movable=self.features.continuous
            )
            return "expected gradients of the columns that are no categories", values.numpy()
        return "gradient times input", gradients.gradient_times_input(*ask).numpy()


def digest(background: Tensor) -> str:
    """Digest background inputs: their shape and every bit of them, in order."""
    shape = ",".join(str(size) for size in background.shape)
    return provenance.sha256_bytes(f"{shape};".encode() + background.numpy().tobytes())
