"""Randomised smoothing: what any model answers most often under noise, and how far that holds.

Cohen, Rosenfeld and Kolter (2019), "Certified adversarial robustness via randomized smoothing",
arXiv:1902.02918. What is certified is the *smoothed* classifier, which answers by a vote under
noise, and not the model that is asked once. L2 only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.special import betaincinv, ndtri  # scipy.stats takes two seconds to import
from torch import Tensor, nn

from hardgate import progress
from hardgate.attacks.ascent import frozen
from hardgate.errors import ContractError
from hardgate.records import Record
from hardgate.region import Region

ABSTAINS = -1


class Noise(Record):
    """How the model is asked.

    ``sigma`` is in the unit of the threat's eps. ``selection`` draws pick the answer, ``draws``
    count how often it comes; each answer's radius is wrong with probability ``alpha`` at most.
    """

    sigma: PositiveFloat
    selection: PositiveInt
    draws: PositiveInt
    alpha: Annotated[float, Field(gt=0, lt=0.5)]


@dataclass(frozen=True)
class Smoothed:
    """The smoothed classifier's answers and the L2 radii within which they hold."""

    predictions: NDArray[np.int64]  # (n,), ABSTAINS where no answer is sure
    radii: NDArray[np.float64]  # (n,), 0 where it abstains


def smooth(
    model: nn.Module,
    noise: Noise,
    region: Region,
    inputs: Tensor,
    *,
    generator: torch.Generator,
    batch_size: int,
) -> Smoothed:
    """Ask the smoothed classifier about each input.

    Parameters
    ----------
    region
        Says what can move, and in which unit; what cannot move gets no noise.
    """
    answers = np.full(len(inputs), ABSTAINS, np.int64)
    radii = np.zeros(len(inputs))
    with torch.no_grad(), frozen(model):
        for at, clean in enumerate(inputs):
            spread = noise.sigma * region.unit(clean.unsqueeze(0))
            votes = [
                _votes(model, clean, spread, count, generator=generator, batch_size=batch_size)
                for count in (noise.selection, noise.draws)
            ]
            # Another draw picks the answer, or the count that speaks for it would be too good.
            likeliest = int(votes[0].argmax())
            least = at_least(int(votes[1][likeliest]), noise.draws, alpha=noise.alpha)
            if least > 0.5:
                answers[at], radii[at] = likeliest, noise.sigma * float(ndtri(least))
    return Smoothed(answers, radii)


def at_least(successes: int, draws: int, *, alpha: float) -> float:
    """Bound a share from below: Clopper and Pearson's bound, wrong with probability ``alpha``."""
    if not 0 <= successes <= draws or draws < 1:
        raise ContractError(f"{successes} successes of {draws} draws is not a share")
    return float(betaincinv(successes, draws - successes + 1, alpha)) if successes else 0.0


def _votes(
    model: nn.Module,
    clean: Tensor,
    spread: Tensor,
    count: int,
    *,
    generator: torch.Generator,
    batch_size: int,
) -> Tensor:
    """Count the answers to ``count`` noisy copies, shape ``(classes,)``."""
    votes = torch.zeros(0, dtype=torch.int64)
    for first in range(0, count, batch_size):
        progress.heed()
        shape = (min(batch_size, count - first), *clean.shape)
        drawn = torch.randn(shape, generator=generator, device=generator.device).to(clean)
        logits = model(clean + spread * drawn)
        found = torch.bincount(logits.argmax(dim=1).cpu(), minlength=logits.shape[1])
        votes = found + votes if len(votes) else found
    return votes
