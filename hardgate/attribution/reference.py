"""The shap library's own explainers, as referee over ours.

Its ``KernelExplainer`` (tables) and ``GradientExplainer`` (images) are given the same model,
samples and background. They take far longer for the same accuracy
(``docs/decisions/explainer.md``), which is why a few samples must do. Importing shap takes seconds:
only this module does, and only when asked.

The kernel method solves a regression over coalitions where ours walks permutations: two ways that
agree share no mistake. shap's ``PermutationExplainer`` would compile for eight seconds first.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hardgate.attribution import scores
from hardgate.attribution.scores import Score

PATHS = 200  # points per image, shap's own default

_SEEDING = threading.Lock()


def values(
    score: Score, inputs: Tensor, background: Tensor, classes: Tensor, *, seed: int
) -> NDArray[np.float64]:
    """Explain a few samples with shap, in the shape of ``inputs``."""
    explain = _rows if inputs.ndim == 2 else _images
    with _seeded_globally():
        return np.stack(
            [
                explain(score, inputs[at], background, classes[at : at + 1], seed)
                for at in range(len(inputs))
            ]
        )


def _rows(
    score: Score, row: Tensor, background: Tensor, chosen: Tensor, seed: int
) -> NDArray[np.float64]:
    def predict(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        states = torch.from_numpy(rows.astype(np.float32))
        return scores.evaluate(score, states, chosen.expand(len(rows))).numpy()

    np.random.seed(seed)
    explainer = _shap().KernelExplainer(predict, background.numpy().astype(np.float64))
    explained = explainer.shap_values(row.numpy()[None], l1_reg=False, silent=True)
    return np.asarray(explained[0], dtype=np.float64)


def _images(
    score: Score, image: Tensor, background: Tensor, chosen: Tensor, seed: int
) -> NDArray[np.float64]:
    network = _OneScore(score, chosen)
    explainer = _shap().GradientExplainer(network, background, batch_size=PATHS)
    explained = explainer.shap_values(image.unsqueeze(0), nsamples=PATHS, rseed=seed)
    return np.asarray(explained, dtype=np.float64).reshape(image.shape)


def _shap() -> ModuleType:
    """Import shap, whose plots set colours in a way that matplotlib is about to deprecate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        import shap
    module: ModuleType = shap
    return module


class _OneScore(nn.Module):
    """A network whose one output is the score of one class, as shap wants it."""

    def __init__(self, score: Score, chosen: Tensor) -> None:
        super().__init__()
        self.score, self.chosen = score, chosen

    def forward(self, images: Tensor) -> Tensor:
        """Score images, shape ``(n, 1)``."""
        return self.score(images, self.chosen.expand(len(images))).unsqueeze(1)


@contextmanager
def _seeded_globally() -> Iterator[None]:
    """Let shap seed NumPy's global generator, which it knows alone, and put that back."""
    with _SEEDING:
        before = np.random.get_state()
        try:
            yield
        finally:
            np.random.set_state(before)
