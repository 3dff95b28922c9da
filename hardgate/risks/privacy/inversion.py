"""Model inversion on images: whether what the model takes for a class looks like training images.

Fredrikson et al. (2015), "Model inversion attacks that exploit confidence information and basic
countermeasures". Images are made that the model is sure of, class by class, and the images of the
class are ranked by how near they lie to the nearest of them. A model that learnt the class and no
one in particular is as near to images it never saw. That is all this shows: where every image of a
class is of the same person, the class itself is the secret, and no number here says so.
"""

from __future__ import annotations

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor
from torch.nn import functional

from hardgate import measurements, progress
from hardgate.attacks.ascent import frozen
from hardgate.records import ImageInput, Measurement, Record
from hardgate.risks.privacy import ranking
from hardgate.risks.privacy.audited import Audited
from hardgate.subject import Subject


class Inversion(Record):
    """Images made for each class from ``starts`` noises, by ``steps`` of Adam at ``rate``."""

    starts: PositiveInt
    steps: PositiveInt
    rate: PositiveFloat


def measure(
    params: Inversion, subject: Subject, spec: ImageInput, audited: Audited
) -> dict[str, Measurement]:
    """Invert every class, and rank the audited images by nearness to their own class's."""
    classes = len(spec.classes)
    labels = torch.arange(classes).repeat_interleave(params.starts)
    made = invert(params, subject, spec, labels).flatten(1)
    pixels = audited.pool.floats().flatten(1)
    nearness = torch.zeros(len(pixels), dtype=torch.float64)
    for label in range(classes):
        own = audited.pool.labels == label
        if own.any():
            distance = torch.cdist(pixels[own], made[labels == label]).amin(1).double()
            nearness[own] = distance.mean() - distance  # classes differ in how alike theirs are
    return {
        measurements.inversion(leak): found
        for leak, found in ranking.measure(nearness.numpy(), audited.member.numpy()).items()
    }


def invert(params: Inversion, subject: Subject, spec: ImageInput, labels: Tensor) -> Tensor:
    """Make an image for each label, shape ``(n, c, h, w)``, that the model is sure of."""
    generator = torch.Generator().manual_seed(subject.seed)
    images = torch.rand((len(labels), *spec.shape), generator=generator).to(subject.device)
    wanted = labels.to(subject.device)
    images.requires_grad_()
    optimiser = torch.optim.Adam([images], lr=params.rate)
    with frozen(subject.model):
        for _ in progress.track(range(params.steps), "inversion"):
            loss = functional.cross_entropy(subject.model(images), wanted, reduction="sum")
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            with torch.no_grad():
                images.clamp_(0, 1)
    return images.detach().cpu()
