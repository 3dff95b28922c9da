"""A cheap second model, from which any training samples can be taken out again without training.

Ridge regression on random features: Rahimi and Recht (2008), "Weighted sums of random kitchen
sinks"; for images on patches pooled by place, Coates, Lee and Ng (2011), "An analysis of
single-layer networks in unsupervised feature learning". The solution depends on the samples only
through two sums, so that leaving some out is a subtraction. Its features know no label: a feature
that learned a trigger would vouch for the samples that carry it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hardgate import progress
from hardgate.architectures.inputs import TableEncoder
from hardgate.records import ImageInput, InputSpec, TableInput
from hardgate.samples import Samples, as_floats

PATCH, STRIDE = 6, 3  # pixels
PLACES = 3  # a side: where in the image a patch was seen
WIDEST = 32  # pixels a side; larger images are shrunk
BATCH = 500
PATCHES_FROM = 500  # images that filters are cut from
SMALL = 1e-3  # a feature that varies less is constant


@dataclass(frozen=True)
class Surrogate:
    """The sums of a ridge regression of one-hot labels on ``features``, shape ``(n, d)``."""

    features: Tensor
    targets: Tensor
    gram: Tensor
    moment: Tensor
    ridge: float

    def without(self, left_out: Tensor) -> Tensor:
        """Give the weights, shape ``(d, k)``, that the samples other than ``left_out`` lead to."""
        gram, moment, samples = self._sums_without(left_out)
        return self._solve(gram, moment, samples)

    def contradicted(self, index: Tensor, weights: Tensor) -> Tensor:
        """Tell which of the samples at ``index`` get another class than their label."""
        found: Tensor = (self.features[index] @ weights).argmax(1) != self.targets[index].argmax(1)
        return found

    def disowned(self, suspects: Tensor, *, confidence: float) -> Tensor:
        """Tell which suspects the rest gives another class, and is as sure of it as of its own.

        As in confident learning, another class must score at least ``confidence`` times what it
        scores on average where it is the label: two models differ everywhere near their borders.
        """
        gram, moment, samples = self._sums_without(suspects)
        weights = self._solve(gram, moment, samples)
        sizes = moment[-1]  # the last feature is 1
        usual = (moment * weights).sum(0) / sizes
        usual = torch.where(sizes > 0, usual, torch.inf).float()
        scores = self.features[suspects] @ weights
        sure = (scores >= confidence * usual) & (self.targets[suspects] == 0)
        return sure.any(1) & self.contradicted(suspects, weights)

    def _sums_without(self, left_out: Tensor) -> tuple[Tensor, Tensor, int]:
        features, targets = self.features[left_out], self.targets[left_out]
        gram = self.gram - (features.T @ features).double()
        moment = self.moment - (features.T @ targets).double()
        return gram, moment, max(1, len(self.features) - len(left_out))

    def _solve(self, gram: Tensor, moment: Tensor, samples: int) -> Tensor:
        penalty = self.ridge * samples * torch.eye(len(gram), dtype=gram.dtype)
        weights: Tensor = torch.linalg.solve(gram + penalty, moment).float()
        return weights

    def out_of_sample(self, folds: int, generator: torch.Generator) -> Tensor:
        """Give each sample probabilities by the weights of the other folds, shape ``(n, k)``."""
        fold = torch.randperm(len(self.features), generator=generator) % folds
        scores = torch.empty_like(self.targets)
        for each in range(folds):
            progress.heed()
            part = torch.nonzero(fold == each)[:, 0]
            scores[part] = self.features[part] @ self.without(part)
        shares = scores.clamp(SMALL, 1)
        return shares / shares.sum(1, keepdim=True)


def fit(features: Tensor, labels: Tensor, *, classes: int, ridge: float) -> Surrogate:
    """Sum what the regression needs to know of the samples."""
    targets = functional.one_hot(labels, classes).float()
    gram, moment = (features.T @ features).double(), (features.T @ targets).double()
    return Surrogate(features, targets, gram, moment, ridge)


class Features:
    """Random features of a kind of input, standardised on ``samples``; the last is a constant."""

    def __init__(
        self, spec: InputSpec, samples: Samples, *, count: int, generator: torch.Generator
    ) -> None:
        self._raw = (
            _Units(spec, count, generator)
            if isinstance(spec, TableInput)
            else _Patches(spec, samples, count, generator)
        )
        found = self._batched(samples.inputs)
        self._mean = found.mean(0)
        self._scale = found.std(0)
        self.known = self._standardised(found)  # those of ``samples`` themselves

    def __call__(self, inputs: Tensor) -> Tensor:
        """Give features of inputs, shape ``(n, d)``."""
        return self._standardised(self._batched(inputs))

    def _batched(self, inputs: Tensor) -> Tensor:
        batches = []
        for batch in torch.split(inputs, BATCH):
            progress.heed()
            batches.append(self._raw(as_floats(batch)))
        return torch.cat(batches)

    def _standardised(self, found: Tensor) -> Tensor:
        scaled = (found - self._mean) / self._scale.clamp(min=SMALL)
        return torch.cat([scaled, torch.ones(len(scaled), 1)], dim=1)


class _Units:
    """The columns of a row as a network sees them, and rectified random sums of them."""

    def __init__(self, spec: TableInput, count: int, generator: torch.Generator) -> None:
        self.encoder = TableEncoder(spec, squash=True)
        width = self.encoder.width
        self.weights = torch.randn(width, count, generator=generator) / math.sqrt(width)
        self.bias = torch.randn(count, generator=generator)

    def __call__(self, rows: Tensor) -> Tensor:
        encoded = self.encoder(rows)
        return torch.cat([encoded, torch.relu(encoded @ self.weights + self.bias)], dim=1)


class _Patches:
    """How much an image looks like each of some patches cut from others, in each of nine places."""

    def __init__(
        self, spec: ImageInput, samples: Samples, count: int, generator: torch.Generator
    ) -> None:
        self.side = min(WIDEST, *spec.shape[1:])
        self.patch = min(PATCH, self.side)
        filters = max(1, count // PLACES**2)
        first = torch.randperm(len(samples), generator=generator)[:PATCHES_FROM]
        patches = self._cut(as_floats(samples.inputs[first])).transpose(1, 2).flatten(0, 1)
        patches = patches - patches.mean(1, keepdim=True)
        length = patches.norm(dim=1)
        drawn = torch.multinomial(length, filters, replacement=True, generator=generator)
        self.filters = patches[drawn] / length[drawn].unsqueeze(1)
        self.threshold = (patches @ self.filters.T).std(0).unsqueeze(1)

    def __call__(self, images: Tensor) -> Tensor:
        seen = torch.relu(self.filters @ self._cut(images) - self.threshold)
        places = math.isqrt(seen.shape[2])
        grid = seen.view(len(seen), -1, places, places)
        return functional.adaptive_avg_pool2d(grid, min(PLACES, places)).flatten(1)

    def _cut(self, images: Tensor) -> Tensor:
        shrunk = functional.adaptive_avg_pool2d(images, self.side)
        cut: Tensor = functional.unfold(shrunk, self.patch, stride=STRIDE)
        return cut
