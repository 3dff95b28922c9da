"""Certified training against the clock: ``python benchmarks/certified.py``, 300 s by default.

Trains one recipe on MNIST at eps 0.3 until the seconds are up, then measures clean and certified
accuracy on all 10,000 test images and accuracy under PGD on the first 1,000; training sees none of
them. Radius and rate follow the clock, so a slower machine takes fewer steps of the same schedule.
Prints a line every few seconds; the last one is a JSON object. ``--quick`` trains for 30 s. On a
busy machine the wall's clock says little: ``--processor`` trains by processor seconds instead, the
sum over all threads.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hardgate import candidates, certification, region, statistics
from hardgate.architectures import Architecture
from hardgate.attacks.ascent import ascend, frozen
from hardgate.datasets import idx
from hardgate.defenses import Defense
from hardgate.defenses.recipe import Batch, Moment
from hardgate.optimisation import Descent, Optimiser
from hardgate.records import ImageInput
from hardgate.region import Region
from hardgate.threat import Threat

DATA = Path(__file__).resolve().parents[1] / "data" / "mnist"
THREAT = Threat(norm="Linf", eps=0.3, access="white-box", queries=1)
EVERY = 10.0  # seconds between two lines
BATCH = 500


@dataclass
class Clock:
    """Seconds of training alone, of the wall and of the processor."""

    by_processor: bool
    wall: float = 0.0
    processor: float = 0.0

    @property
    def spent(self) -> float:
        """Seconds of the clock that the budget is in."""
        return self.processor if self.by_processor else self.wall

    def measure(self, started: tuple[float, float]) -> None:
        """Add what has passed since ``started``."""
        self.wall += time.monotonic() - started[0]
        self.processor += time.process_time() - started[1]


def now() -> tuple[float, float]:
    """Read both clocks."""
    return time.monotonic(), time.process_time()


def read(split: str) -> tuple[Tensor, Tensor]:
    """Give images in [0, 1], shape ``(n, 1, 28, 28)``, and labels."""
    images = idx.read(DATA / f"{split}-images-idx3-ubyte.gz", name="images", dimensions=3)
    labels = idx.read(DATA / f"{split}-labels-idx1-ubyte.gz", name="labels", dimensions=1)
    return torch.tensor(images).unsqueeze(1).float() / 255, torch.tensor(labels).long()


def train(
    options: argparse.Namespace, model: nn.Module, around: Region, clock: Clock
) -> tuple[int, float]:
    """Train until the time is up; give the number of samples seen and the last loss."""
    images, labels = read("train")
    defense = TypeAdapter(Defense).validate_json(options.recipe)
    torch.manual_seed(options.seed)
    defense.prepare(model)
    descent = Descent(Optimiser(name="adam", rate=options.rate, clip=10.0), model)
    generator = torch.Generator().manual_seed(options.seed)
    model.train()
    seen, told, loss = 0, 0.0, torch.zeros(())
    while clock.spent < options.seconds:
        for index in torch.split(
            torch.randperm(len(images), generator=generator), options.batch_size
        ):
            started = now()
            progress = clock.spent / options.seconds
            if progress >= 1:
                break
            ramp = min(1.0, max(progress, 1e-3) / options.ramp)
            loss = defense.loss(
                Batch(
                    model,
                    shifted(images[index], options.shift, generator),
                    labels[index],
                    around if ramp == 1 else around.scaled(ramp),
                    generator,
                    moment=Moment(progress, ramp),
                )
            )
            descent.forget()
            loss.backward()
            descent.step(factor=rate(progress))
            clock.measure(started)
            seen += len(index)
            if clock.spent - told > EVERY:
                told = clock.spent
                print(
                    f"{clock.spent:6.1f} s  {seen / len(images):6.2f} epochs  "
                    f"radius {ramp:.2f}  loss {loss.item():.3f}",
                    flush=True,
                )
    return seen, loss.item()


def shifted(images: Tensor, reach: int, generator: torch.Generator) -> Tensor:
    """Move the whole batch by up to ``reach`` pixels: the digits are the same digits."""
    if not reach:
        return images
    down, right = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
    return torch.roll(images, (down, right), (2, 3))  # the rim is black


def rate(progress: float) -> float:
    """Give the share of the full rate: all of it for one half, then down to nothing by a cosine."""
    late = max(0.0, (progress - 0.5) / 0.5)
    return 0.5 * (1 + torch.cos(torch.tensor(torch.pi * late)).item())


def measure(model: nn.Module, around: Region, *, attacked: int) -> dict[str, object]:
    """Measure on test images."""
    images, labels = read("t10k")
    model.eval()
    with torch.no_grad():
        clean = torch.cat([model(part).argmax(1) for part in torch.split(images, BATCH)]) == labels
    started = now()
    proven = {
        method: certification.certify(
            model, around, images, labels, method=method, batch_size=BATCH
        )
        for method in ("ibp", "crown-ibp")
    }
    seconds = time.monotonic() - started[0]
    survives = under_pgd(model, around, images[:attacked], labels[:attacked])
    broken = int((proven["crown-ibp"][:attacked] & ~survives).sum())
    if broken:
        raise SystemExit(f"{broken} certified images were broken: the bounds are wrong")
    found = {
        "clean": statistics.share(clean.numpy()),
        "certified_ibp": statistics.share(proven["ibp"].numpy()),
        "certified": statistics.share(proven["crown-ibp"].numpy()),
        "pgd": statistics.share(survives.numpy()),
    }
    plain = {
        name: [round(m.value, 4), round(m.lower, 4), round(m.upper, 4)] for name, m in found.items()
    }
    return plain | {"attacked": attacked, "seconds_certifying": round(seconds, 1)}


def under_pgd(model: nn.Module, around: Region, images: Tensor, labels: Tensor) -> Tensor:
    """Tell which images survive 40 steps of PGD from 3 random starts."""
    generator = torch.Generator().manual_seed(1)
    right = torch.ones(len(images), dtype=torch.bool)
    with frozen(model):
        for clean, truth, out in zip(
            images.split(BATCH), labels.split(BATCH), right.split(BATCH), strict=True
        ):
            for _ in range(3):
                found = ascend(
                    lambda x, truth=truth: cross_entropy(model(x), truth, reduction="none"),
                    clean,
                    around,
                    step_size=0.02,
                    steps=40,
                    generator=generator,
                )
                with torch.no_grad():
                    out &= model(found).argmax(1) == truth
    return right


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default='{"recipe": "ibp", "kappa": 0, "stretch": 1.1}')
    parser.add_argument(
        "--architecture", default='{"name": "small-cnn", "channels": 16, "hidden": 100}'
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="of training")
    parser.add_argument("--ramp", type=float, default=0.4, help="share of them in which eps grows")
    parser.add_argument("--rate", type=float, default=0.0015)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--shift", type=int, default=0, help="pixels")
    parser.add_argument("--attacked", type=int, default=1000, help="test images under PGD")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processor", action="store_true", help="count processor seconds")
    parser.add_argument("--quick", action="store_true", help="30 s")
    options = parser.parse_args()
    options.seconds = 30.0 if options.quick else options.seconds
    images, _ = read("train")
    spec = ImageInput(
        kind="images",
        shape=(1, 28, 28),
        classes=tuple(str(label) for label in range(10)),
        mean=(images.mean().item(),),
        scale=(images.std().item(),),
    )
    torch.manual_seed(options.seed)
    architecture = TypeAdapter(Architecture).validate_json(options.architecture)
    model, around, clock = (
        candidates.build(architecture, spec),
        region.build(THREAT, spec),
        Clock(options.processor),
    )
    seen, loss = train(options, model, around, clock)
    found = measure(model, around, attacked=options.attacked)
    result = {
        "recipe": json.loads(options.recipe),
        "architecture": json.loads(options.architecture),
        "weights": candidates.count(model),
        "seconds": round(clock.wall, 1),
        "cpu_seconds": round(clock.processor, 1),
        "threads": torch.get_num_threads(),
        "epochs": round(seen / len(images), 2),
        "loss": round(loss, 4),
        **found,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
