"""What is explained: the log-odds of one class per input, ``log(p / (1 - p))``.

Log-odds are the logit margin of a binary model, add up better than probabilities, and are read the
same way for any number of classes: 0 is as likely as not.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

# Maps inputs, shape (n, ...), and a class index each, shape (n,), to log-odds, shape (n,).
Score = Callable[[Tensor, Tensor], Tensor]

ROWS_AT_ONCE = 8192  # small enough to stay in the processor's cache
IMAGES_AT_ONCE = 256


def of(model: nn.Module, device: torch.device) -> Score:
    """Give the model's score; differentiable, results on the CPU."""

    def score(inputs: Tensor, classes: Tensor) -> Tensor:
        return log_odds(model(inputs.to(device)).cpu(), classes)

    return score


def log_odds(logits: Tensor, classes: Tensor) -> Tensor:
    """Turn logits, shape ``(n, k)``, into the log-odds of a class each, float64 ``(n,)``."""
    index = classes.unsqueeze(1)
    logits = logits.double()
    others = logits.scatter(1, index, -torch.inf).logsumexp(dim=1)
    return logits.gather(1, index).squeeze(1) - others


def evaluate(score: Score, inputs: Tensor, classes: Tensor) -> Tensor:
    """Score many inputs in batches, without gradients."""
    if len(inputs) == 0:
        return torch.empty(0, dtype=torch.float64)
    size = at_once(inputs)
    with torch.no_grad():
        batches = zip(torch.split(inputs, size), torch.split(classes, size), strict=True)
        return torch.cat([score(*batch) for batch in batches])


def crossed(score: Score, background: Tensor, classes: Tensor) -> Tensor:
    """Score every background input for every sample's class, shape ``(samples, background)``."""
    table = {
        chosen: evaluate(score, background, torch.full((len(background),), chosen))
        for chosen in set(classes.tolist())
    }
    return torch.stack([table[chosen] for chosen in classes.tolist()])


def at_once(inputs: Tensor) -> int:
    """How many of these inputs go through a model at once."""
    return ROWS_AT_ONCE if inputs.ndim == 2 else IMAGES_AT_ONCE
