"""How an input is told from one that does not belong: the higher its score, the more it does.

Two scores need only the answer: the largest probability (Hendrycks and Gimpel 2017, "A baseline for
detecting misclassified and out-of-distribution examples in neural networks") and the energy of the
logits (Liu et al. 2020, "Energy-based out-of-distribution detection"). Two are distances from the
training split: Mahalanobis' from the nearest class mean (Lee et al. 2018, "A simple unified
framework for detecting out-of-distribution samples and adversarial attacks"), and that to the k-th
nearest sample (Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors").
Distances are taken between ``features``, what the last layer reads, or between ``inputs`` as the
input layer of a table encodes them. A network is free to map a senseless row to sensible features;
the row itself stays senseless.

To add one: write its class with ``label``, ``fit`` and ``score``, then name it in the union. A
fitted score is a dict of tensors, so that a server can load it without running code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.nn import functional

from hardgate.records import Record

State = dict[str, Tensor]
Space = Literal["features", "inputs"]


@dataclass(frozen=True)
class Seen:
    """Some inputs as scores look at them: logits ``(n, k)``, features and inputs ``(n, d)``."""

    logits: Tensor
    features: Tensor
    inputs: Tensor

    def of(self, space: Space) -> Tensor:
        """Give the points between which distances are taken."""
        return self.features if space == "features" else self.inputs


class Softmax(Record):
    """The largest probability."""

    name: Literal["softmax"]

    @property
    def label(self) -> str:
        """Its word in measurements."""
        return self.name

    def fit(self, seen: Seen, labels: Tensor) -> State:  # noqa: ARG002  one interface for all scores
        """Nothing is learned."""
        return {}

    def score(self, state: State, seen: Seen) -> Tensor:  # noqa: ARG002  one interface for all scores
        """Score inputs, shape ``(n,)``."""
        return seen.logits.softmax(1).amax(1)


class Energy(Record):
    """The free energy of the logits, turned round."""

    name: Literal["energy"]

    @property
    def label(self) -> str:
        """Its word in measurements."""
        return self.name

    def fit(self, seen: Seen, labels: Tensor) -> State:  # noqa: ARG002  one interface for all scores
        """Nothing is learned."""
        return {}

    def score(self, state: State, seen: Seen) -> Tensor:  # noqa: ARG002  one interface for all scores
        """Score inputs, shape ``(n,)``."""
        return seen.logits.logsumexp(1)


class Mahalanobis(Record):
    """The distance from the nearest class mean, in the classes' common covariance.

    The covariance is shrunk by Ledoit and Wolf (2004), "A well-conditioned estimator for
    large-dimensional covariance matrices", for constant columns have none.
    """

    name: Literal["mahalanobis"]
    space: Space

    @property
    def label(self) -> str:
        """Its word in measurements."""
        return f"{self.name}-{self.space}"

    def fit(self, seen: Seen, labels: Tensor) -> State:
        """Learn class means and a matrix that whitens what is around them."""
        from sklearn.covariance import ledoit_wolf

        points = seen.of(self.space).double()
        present = torch.unique(labels)
        means = torch.stack([points[labels == one].mean(0) for one in present])
        around = points - means[torch.searchsorted(present, labels)]
        covariance, _ = ledoit_wolf(around.numpy(), assume_centered=True)
        values, vectors = torch.linalg.eigh(torch.from_numpy(covariance))
        least = values.amax().item() * torch.finfo(torch.float32).eps or 1.0  # all alike: no scale
        whitening = vectors / values.clamp(min=least).sqrt()
        return {"means": means, "whitening": whitening.contiguous()}

    def score(self, state: State, seen: Seen) -> Tensor:
        """Score inputs, shape ``(n,)``."""
        whitening = state["whitening"]
        points = seen.of(self.space).double() @ whitening
        return -torch.cdist(points, state["means"] @ whitening).amin(1)


class Neighbours(Record):
    """The distance to the ``k``-th nearest of the training samples; features have unit length."""

    name: Literal["neighbours"]
    space: Space
    k: PositiveInt

    @property
    def label(self) -> str:
        """Its word in measurements."""
        return f"{self.name}-{self.space}"

    def fit(self, seen: Seen, labels: Tensor) -> State:  # noqa: ARG002  one interface for all scores
        """Keep the training samples."""
        return {"bank": self._points(seen)}

    def score(self, state: State, seen: Seen) -> Tensor:
        """Score inputs, shape ``(n,)``."""
        bank = state["bank"]
        k = min(self.k, len(bank))
        near = [
            torch.cdist(points, bank).kthvalue(k, dim=1).values
            for points in torch.split(self._points(seen), 1000)
        ]
        return -torch.cat(near)

    def _points(self, seen: Seen) -> Tensor:
        points = seen.of(self.space)
        return functional.normalize(points, dim=1) if self.space == "features" else points


Score = Annotated[Softmax | Energy | Mahalanobis | Neighbours, Field(discriminator="name")]
