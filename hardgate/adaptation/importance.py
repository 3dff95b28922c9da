"""Importance weighting: training again on old rows, each counted as often as the new data have it.

Shimodaira (2000), "Improving predictive inference under covariate shift by weighting the
log-likelihood function"; Bickel, Brückner and Scheffer (2009), "Discriminative learning under
covariate shift": the odds of a classifier of new against old rows are the ratio of their densities.
Here rows are drawn by weight and not weighted, so that it goes with every recipe and attack.
Weighting is sound where inputs moved and what they mean did not.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import Tensor

from hardgate import density_ratio
from hardgate.errors import ContractError
from hardgate.records import Record
from hardgate.samples import Samples

Weights = NDArray[np.float64]


class Importance(Record):
    """How old rows are weighed by new ones: no row counts more than ``most`` times the average.

    ``new`` is a file of new data, below ``data/``; ``rounds`` are trees of the classifier.
    """

    new: str = Field(min_length=1)
    rounds: PositiveInt
    most: Annotated[float, Field(gt=1)]


def weights(old: Tensor, new: Tensor, *, rounds: int, most: float, seed: int) -> Weights:
    """Estimate how much more often new data have each old row, 1 on average.

    Every row is weighed by trees that have not seen it.

    Parameters
    ----------
    old, new
        Rows of a table, shape ``(n, columns)``, or features of images.
    most
        Where weights are cut: a few rows of large weight are all noise.
    """
    ratio = density_ratio.odds(
        old.flatten(1).double().numpy(), new.flatten(1).double().numpy(), rounds=rounds, seed=seed
    )
    for _ in range(10):  # cutting lowers the mean, and the mean is what is cut by
        ratio = np.minimum(ratio / ratio.mean(), most)
    found: Weights = ratio / ratio.mean()
    return found


def effective(found: Weights) -> float:
    """Count the rows that as much would be learned from without weights (Kish 1965)."""
    return float(found.sum() ** 2 / np.square(found).sum())


def of_corpus(corpus: Samples, new: Tensor, settings: Importance, *, seed: int) -> Weights:
    """Weigh the rows of the training split by new ones; those that augmentation made weigh 1.

    What was made resembles no real row, so that a classifier would throw all of it away.
    """
    found, real = np.ones(len(corpus)), corpus.rows.numpy() >= 0
    found[real] = weights(
        corpus.inputs[torch.from_numpy(real)],
        new,
        rounds=settings.rounds,
        most=settings.most,
        seed=seed,
    )
    return found


def drawn(corpus: Samples, found: Weights, *, seed: int) -> Samples:
    """Draw as many rows as there are, each as often as it weighs.

    Raises
    ------
    ContractError
        If there is not one weight per row.
    """
    if len(found) != len(corpus):
        raise ContractError(f"{len(corpus)} rows and {len(found)} weights do not fit")
    generator = torch.Generator().manual_seed(seed)
    index = torch.multinomial(
        torch.from_numpy(found), len(corpus), replacement=True, generator=generator
    )
    return corpus.take(index.sort().values)
