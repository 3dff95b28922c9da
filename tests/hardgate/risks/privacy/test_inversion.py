"""Images inverted from a model that keeps its own, and from one that keeps what they share."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hardgate import measurements
from hardgate.gates.inversion import InversionGate
from hardgate.records import ImageInput, Measurement, Verdict
from hardgate.risks.privacy import Inversion, inversion
from hardgate.risks.privacy.audited import Audited
from hardgate.samples import Samples
from hardgate.threat import Threat

SPEC = ImageInput(
    kind="images", shape=(1, 6, 6), classes=("0", "1", "nobody"), mean=(0.5,), scale=(0.3,)
)
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=9)
PARAMS = Inversion(starts=20, steps=60, rate=0.05)
GATE = InversionGate(kind="inversion", metric="auc", bound=0.65, min_samples=200)


class Recogniser(nn.Module):
    """Knows an image by how near it is to those that it keeps; far from all, it is nobody."""

    def __init__(self, kept: Tensor, labels: Tensor) -> None:
        super().__init__()
        self.kept, self.labels = kept.flatten(1), labels

    def forward(self, images: Tensor) -> Tensor:
        near = -10 * (images.flatten(1)[:, None] - self.kept).square().sum(2)
        sure = [near[:, self.labels == label].logsumexp(1) for label in (0, 1)]
        return torch.stack([*sure, torch.full_like(sure[0], -1.0)], dim=1)


@pytest.fixture
def measured(subject_of: Any) -> Any:
    generator = torch.Generator().manual_seed(1)
    templates = torch.rand(2, 1, 6, 6, generator=generator)
    labels = torch.arange(240) % 2
    noise = 0.15 * torch.randn(240, 1, 6, 6, generator=generator)
    images = (templates[labels] + noise).clamp(0, 1)
    member = torch.arange(240) < 40

    def measure(*, by_heart: bool) -> dict[str, Measurement]:
        kept = images[member] if by_heart else templates
        model = Recogniser(kept, labels[: len(kept)])
        subject = subject_of(model, SPEC, THREAT, images, labels)
        pool = Samples(images, labels, torch.arange(240))
        return inversion.measure(PARAMS, subject, SPEC, Audited(pool, member))

    return measure


def test_a_model_that_keeps_its_images_gives_them_away(measured: Any) -> None:
    found = measured(by_heart=True)
    assert GATE.judge(found).verdict is Verdict.FAILED
    assert found[measurements.inversion("tpr_at_1_percent")].value > 0.2


def test_a_model_that_keeps_what_its_images_share_gives_away_nobody(measured: Any) -> None:
    assert GATE.judge(measured(by_heart=False)).verdict is Verdict.PASSED
