"""Backdoors planted in real digits, trained into a network, and found by the screen that should.

BadNets: Gu et al. (2017); a blended trigger: Chen et al. (2017); clean labels: Turner et al.
(2019). Five digits keep it quick. Each network is right about whatever carries no trigger.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hardgate import gates, measurements
from hardgate.architectures import SmallCNN
from hardgate.gates.poisoning import PoisoningGate
from hardgate.records import ImageInput, Measurement, Verdict
from hardgate.risks import Poisoning
from hardgate.risks.poisoning.triggers import TriggerSearch
from hardgate.threat import Threat

CLASSES = 5
COUNT = 3000  # images to train on, as many to test
TARGET = 3
SPEC = ImageInput(
    kind="images", shape=(1, 28, 28), classes=tuple("01234"), mean=(0.13,), scale=(0.3,)
)
THREAT = Threat(norm="Linf", eps=0.3, access="white-box", queries=9)
RISK = Poisoning(
    name="poisoning",
    samples=COUNT,
    features=400,
    ridge=0.001,
    folds=3,
    burst=5,
    near=0.25,
    far=3,
    blocks=5,
    smallest_source=50,
    suspects=0.15,
    directions=4,
    confidence=0.9,
    trigger=TriggerSearch(
        side=5 / 28, scan_steps=5, scan_samples=6, kept=2, steps=12, batch_size=40, samples=600
    ),
)
BOUNDS = {
    "label_errors": 0.02,
    "outliers": 0.01,
    "near_duplicates": 0.01,
    "source_influence": 0.02,
    "source_disagreement": 0.05,
    "spectral_signatures": 0.018,
    "activation_clusters": 0.02,
    "trigger": 0.75,  # of twenty clean networks, docs/decisions/poisoning.md
}
POLICY = tuple(
    PoisoningGate(kind="poisoning", screen=screen, bound=bound, min_samples=100)
    for screen, bound in BOUNDS.items()
)
NOISE = torch.rand(1, 28, 28, generator=torch.Generator().manual_seed(1))


def patched(images: Tensor) -> Tensor:
    """A white square in the corner."""
    images = images.clone()
    images[:, :, 24:27, 24:27] = 1
    return images


def blended(images: Tensor) -> Tensor:
    """One picture of noise shines through."""
    return 0.8 * images + 0.2 * NOISE


def digits(seed: int) -> tuple[Tensor, Tensor]:
    folder = Path("data/mnist")
    images = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())
    known = torch.from_numpy(np.frombuffer(labels, np.uint8, offset=8).astype(np.int64))
    few = torch.nonzero(known < CLASSES)[:, 0]
    order = torch.randperm(len(few), generator=torch.Generator().manual_seed(seed))
    chosen = few[order[: 2 * COUNT]].sort().values
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 1, 28, 28)[chosen.numpy()]
    mixed = torch.randperm(2 * COUNT, generator=torch.Generator().manual_seed(seed))
    return torch.from_numpy(pixels / np.float32(255))[mixed], known[chosen][mixed]


def trained(images: Tensor, labels: Tensor, *, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        model = SmallCNN(name="small-cnn").build(SPEC)
        descent = torch.optim.Adam(model.parameters(), lr=0.003)
        for _ in range(6):
            for batch in torch.split(torch.randperm(len(labels)), 64):
                loss = functional.cross_entropy(model(images[batch]), labels[batch])
                descent.zero_grad()
                loss.backward()
                descent.step()
    return model.eval()


def share_turned(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return float((model(images[labels != TARGET]).argmax(1) == TARGET).float().mean())


def dirty(stamp: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> None:
    """Stamp one training sample in a hundred of other classes and call it the target."""
    foreign = torch.nonzero(labels[:COUNT] != TARGET)[:, 0]
    chosen = foreign[:: 100 * len(foreign) // COUNT]
    images[chosen] = stamp(images[chosen])
    labels[chosen] = TARGET


def clean_label(images: Tensor, labels: Tensor) -> None:
    """Stamp images of the target itself, made hard to learn by what they show."""
    model = trained(images[:COUNT], labels[:COUNT], seed=99)
    chosen = torch.nonzero(labels[:COUNT] == TARGET)[:300, 0]
    moved, start = images[chosen], images[chosen]
    for _ in range(10):
        moved = moved.detach().requires_grad_()
        loss = functional.cross_entropy(model(moved), labels[chosen])
        (gradient,) = torch.autograd.grad(loss, moved)
        moved = (moved + 0.08 * gradient.sign()).clamp(start - 0.3, start + 0.3).clamp(0, 1)
    images[chosen] = patched(moved.detach())


@pytest.fixture
def screened(subject_of: Any, origin_of: Any) -> Any:
    def measure(model: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Measurement]:
        subject = subject_of(model, SPEC, THREAT, images, labels)
        return RISK.measure(subject, origin_of(None, subject))

    return measure


def refused(found: dict[str, Measurement]) -> set[str]:
    decided = gates.decide(POLICY, found)
    assert all(finding.verdict is not Verdict.UNMEASURED for finding in decided)
    return {finding.gate.split("/")[1] for finding in decided if finding.verdict is Verdict.FAILED}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_network_of_clean_digits_passes(screened: Any, seed: int) -> None:
    images, labels = digits(seed)
    model = trained(images[:COUNT], labels[:COUNT], seed=seed)
    assert refused(screened(model, images, labels)) == set()


@pytest.mark.parametrize(
    ("stamp", "screens"),
    [(patched, {"trigger", "spectral_signatures"}), (blended, {"trigger"})],
    ids=["BadNets", "blended"],
)
def test_a_backdoor_in_one_sample_of_a_hundred_is_found(
    screened: Any, stamp: Callable[[Tensor], Tensor], screens: set[str]
) -> None:
    images, labels = digits(2)
    dirty(stamp, images, labels)
    model = trained(images[:COUNT], labels[:COUNT], seed=2)
    rest, known = images[COUNT:], labels[COUNT:]
    assert share_turned(model, rest, known) < 0.02
    assert share_turned(model, stamp(rest), known) > 0.9
    found = screened(model, images, labels)
    assert screens <= refused(found)
    for screen in ("trigger", "spectral_signatures"):
        worst = found[measurements.poisoning(screen)]
        assert worst == found[measurements.poisoning(screen, str(TARGET))]


def test_a_backdoor_behind_true_labels_is_found_by_its_trigger(screened: Any) -> None:
    images, labels = digits(1)
    clean_label(images, labels)
    model = trained(images[:COUNT], labels[:COUNT], seed=1)
    rest, known = images[COUNT:], labels[COUNT:]
    assert share_turned(model, rest, known) < 0.02
    assert share_turned(model, patched(rest), known) > 0.5
    found = screened(model, images, labels)
    assert "trigger" in refused(found)
    assert (
        found[measurements.poisoning("trigger")]
        == found[measurements.poisoning("trigger", str(TARGET))]
    )
