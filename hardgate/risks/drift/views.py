"""Inputs as a table of columns: a table's own, or what can be said of an image in a number.

A single pixel says little. Images are described by statistics that a change of camera, light or
cropping moves, and by what the candidate itself makes of them just before it answers: Rabanser,
Günnemann and Lipton (2019), "Failing loudly: an empirical study of methods for detecting dataset
shift", arXiv:1810.11953, found a trained network's own features to see most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardgate import penultimate, samples
from hardgate.records import ColumnType, TableInput
from hardgate.subject import Subject

STATISTICS = (
    "brightness",  # mean of the pixels
    "contrast",  # their deviation
    "darkest",
    "brightest",
    "down",  # where the middle of the light is, in shares of the height
    "across",
    "spread",  # mean distance of the light from its middle, in shares of the height
    "edges",  # mean difference of neighbours
    "grain",  # mean difference of a pixel from the mean of its neighbours
)


@dataclass(frozen=True)
class View:
    """Columns of some inputs, shape ``(n, columns)``; ``categorical`` tells codes from numbers."""

    names: tuple[str, ...]
    columns: NDArray[np.float64]
    categorical: tuple[bool, ...]


def inputs(subject: Subject, rows: Tensor) -> View:
    """Give a table's own columns, or the statistics of images."""
    if isinstance(subject.spec, TableInput):
        columns = subject.spec.columns
        return View(
            names=tuple(column.name for column in columns),
            columns=rows.double().numpy(),
            categorical=tuple(column.type is ColumnType.CATEGORICAL for column in columns),
        )
    parts = [statistics(samples.as_floats(b)) for b in torch.split(rows, subject.batch_size)]
    return View(STATISTICS, torch.cat(parts).double().numpy(), (False,) * len(STATISTICS))


def features(subject: Subject, rows: Tensor) -> View:
    """Give what the candidate makes of some inputs just before it answers."""
    found = penultimate.features(subject.model, rows, batch_size=subject.batch_size)
    names = tuple(f"feature {at + 1}" for at in range(found.shape[1]))
    return View(names, found.double().numpy(), (False,) * len(names))


def statistics(images: Tensor) -> Tensor:
    """Give :data:`STATISTICS` of images in [0, 1], shape ``(n, 9)``."""
    grey = images.mean(dim=1)
    height, width = grey.shape[1:]
    flat = grey.flatten(1)
    down = torch.linspace(0, 1, height).view(1, -1, 1)
    across = torch.linspace(0, width / height, width).view(1, 1, -1)
    light = grey / flat.sum(dim=1).clamp(min=1e-6).view(-1, 1, 1)
    middle_down = (light * down).sum(dim=(1, 2))
    middle_across = (light * across).sum(dim=(1, 2))
    away = (down - middle_down.view(-1, 1, 1)) ** 2 + (across - middle_across.view(-1, 1, 1)) ** 2
    beside = torch.nn.functional.avg_pool2d(grey[:, None], 3, stride=1, padding=1)[:, 0]
    return torch.stack(
        [
            flat.mean(dim=1),
            flat.std(dim=1),
            flat.amin(dim=1),
            flat.amax(dim=1),
            middle_down,
            middle_across,
            (light * away.sqrt()).sum(dim=(1, 2)),
            (grey[:, 1:] - grey[:, :-1]).abs().mean(dim=(1, 2))
            + (grey[:, :, 1:] - grey[:, :, :-1]).abs().mean(dim=(1, 2)),
            (grey - beside).abs().mean(dim=(1, 2)),
        ],
        dim=1,
    )
