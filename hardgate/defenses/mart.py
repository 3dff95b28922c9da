"""MART: adversarial training that presses hardest where the clean input is already in doubt.

Wang, Zou, Yi, Bailey, Ma and Gu (2020), "Improving adversarial robustness requires revisiting
misclassified examples", ICLR.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor
from torch.nn import functional

from hardgate.defenses.attacking import Attacking
from hardgate.defenses.losses import divergence
from hardgate.defenses.recipe import Batch

# Keeps log(1 - p) finite when a wrong class reaches probability 1 in single precision.
SMALLEST = 1e-6


class MART(Attacking):
    """Boosted cross-entropy on adversarial inputs plus a divergence weighted by doubt.

    The boost also punishes the likeliest wrong class; the divergence between clean and adversarial
    answers counts ``beta`` times the clean input's probability of being wrong. The attack is
    PGD's, with the model in evaluation mode.
    """

    recipe: Literal["mart"]
    beta: PositiveFloat

    def loss(self, batch: Batch) -> Tensor:
        """Give the batch's loss, a scalar with gradients to the model's weights."""
        found = self.attacked(batch)
        clean, adversarial = batch.model(batch.inputs), batch.model(found)
        doubt = 1 - _of_label(functional.softmax(clean, dim=1), batch.labels)
        boost = boosted(adversarial, batch.labels)
        return batch.mean(boost + self.beta * doubt * divergence(adversarial, clean))

    def passes(self, classes: int) -> int:  # noqa: ARG002  one interface for all recipes
        """Count forward and backward passes per sample."""
        return 2 * self.steps + 4


def boosted(logits: Tensor, labels: Tensor) -> Tensor:
    """Give ``-log p(label) - log(1 - max p(another))`` per sample, shape ``(n,)``."""
    probabilities = functional.softmax(logits, dim=1)
    another = probabilities.scatter(1, labels.unsqueeze(1), 0.0).amax(dim=1)
    natural = functional.cross_entropy(logits, labels, reduction="none")
    return natural - torch.log((1 - another).clamp(min=SMALLEST))


def _of_label(probabilities: Tensor, labels: Tensor) -> Tensor:
    return probabilities.gather(1, labels.unsqueeze(1)).squeeze(1)
