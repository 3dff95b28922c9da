"""The networks of the GAN: makers that draw samples for given labels, and critics that judge them.

Conditioning: Mirza and Osindero (2014), arXiv:1411.1784; for images the projection of Miyato and
Koyama (2018), arXiv:1802.05637. Table critics look at several rows at once, so that a maker that
repeats itself is found out: Lin et al. (2018), "PacGAN", arXiv:1712.04086. No layer looks across
the batch: a made sample does not depend on its neighbours.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from hardgate.records import ImageInput

PACK = 4
TEMPERATURE = 0.5
SLOPE = 0.2  # of leaky units
EPSILON = 1e-6


class TableMaker(nn.Module):
    """A multilayer perceptron from noise and label to a row's code."""

    def __init__(
        self, ranks: int, choices: tuple[int, ...], classes: int, *, latent: int, width: int
    ) -> None:
        super().__init__()
        self.ranks, self.choices, self.classes, self.latent = ranks, choices, classes, latent
        self.layers = nn.Sequential(
            *_trunk(latent + classes, width), nn.Linear(width, ranks + sum(choices))
        )

    def forward(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a code per label: ranks in [-1, 1], then one of k for each choosing column."""
        noise = _normal(labels, self.latent, generator)
        code: Tensor = self.layers(_told(noise, labels, self.classes))
        ranks, *scores = torch.split(code, [self.ranks, *self.choices], 1)
        chosen = [_choice(score, generator) for score in scores]
        return torch.cat([ranks.tanh(), *chosen], 1)


class TableCritic(nn.Module):
    """A multilayer perceptron that judges rows, with their labels, in packs."""

    def __init__(self, inputs: int, classes: int, *, width: int) -> None:
        super().__init__()
        self.classes = classes
        self.layers = nn.Sequential(
            nn.Linear(PACK * (inputs + classes), 2 * width),
            nn.LeakyReLU(SLOPE),
            nn.Linear(2 * width, width),
            nn.LeakyReLU(SLOPE),
            nn.Linear(width, 1),
        )

    def forward(self, rows: Tensor, labels: Tensor) -> Tensor:
        """Score packs of rows; higher is more real. The batch must be a multiple of the pack."""
        told = _told(rows, labels, self.classes)
        scores: Tensor = self.layers(told.view(len(rows) // PACK, -1))
        return scores.squeeze(1)


class ImageMaker(nn.Module):
    """A multilayer perceptron from noise and label to an image.

    On a CPU it learns more in a minute than the usual upsampling convolutions do.
    """

    def __init__(self, spec: ImageInput, *, latent: int, width: int) -> None:
        super().__init__()
        self.classes, self.latent = len(spec.classes), latent
        self.layers = nn.Sequential(
            *_trunk(latent + self.classes, width),
            nn.Linear(width, prod(spec.shape)),
            nn.Sigmoid(),
            nn.Unflatten(1, spec.shape),
        )

    def forward(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Draw an image per label, pixels in [0, 1]."""
        noise = _normal(labels, self.latent, generator)
        images: Tensor = self.layers(_told(noise, labels, self.classes))
        return images


class ImageCritic(nn.Module):
    """Two strided convolutions; the label's own direction is added to the score."""

    def __init__(self, spec: ImageInput, *, width: int) -> None:
        super().__init__()
        (channels, h, w), features = spec.shape, 4 * width
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            nn.Linear(2 * width * (h // 4) * (w // 4), features),
            nn.LeakyReLU(SLOPE),
        )
        self.score = nn.Linear(features, 1)
        self.direction = nn.Linear(len(spec.classes), features, bias=False)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Score images; higher is more real."""
        features = self.body(2 * images - 1)
        told = functional.one_hot(labels, self.direction.in_features).to(features)
        score: Tensor = self.score(features).squeeze(1) + (features * self.direction(told)).sum(1)
        return score


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights from a generator of their own; gains are one, biases zero."""
    for name, parameter in network.named_parameters():
        with torch.no_grad():
            if parameter.dim() > 1:
                nn.init.kaiming_normal_(parameter, a=SLOPE, generator=generator)
            else:
                parameter.fill_(float(name.endswith("weight")))


def _trunk(inputs: int, width: int) -> list[nn.Module]:
    """Build the layers that all makers begin with."""
    return [
        nn.Linear(inputs, width),
        nn.LayerNorm(width),
        nn.LeakyReLU(SLOPE),
        nn.Linear(width, width),
        nn.LayerNorm(width),
        nn.LeakyReLU(SLOPE),
    ]


def _told(vectors: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Tell a network the labels beside its input."""
    return torch.cat([vectors, functional.one_hot(labels, classes).to(vectors)], 1)


def _normal(labels: Tensor, latent: int, generator: torch.Generator) -> Tensor:
    return torch.randn(len(labels), latent, generator=generator).to(labels.device)


def _choice(scores: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one of k by the scores: hard in value, soft in gradient (straight-through Gumbel)."""
    uniform = torch.rand(scores.shape, generator=generator).clamp(EPSILON, 1 - EPSILON)
    gumbel = -(-uniform.log()).log()
    soft = ((scores + gumbel.to(scores.device)) / TEMPERATURE).softmax(1)
    hard = functional.one_hot(soft.argmax(1), scores.shape[1]).to(soft)
    return hard - soft.detach() + soft
