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
from pathlib import Path

import clocked
import torch
from clocked import Clock, Plan, Point
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hardgate import candidates, certification, region, statistics
from hardgate.attacks.ascent import ascend, frozen
from hardgate.region import Region

EVERY = 10.0  # seconds between two lines
BATCH = 500


def train(options: argparse.Namespace, plan: Plan, clock: Clock) -> Point:
    """Train until the time is up; say now and then how far it is."""
    images, labels = clocked.read("train")
    points = clocked.train(
        plan, images, labels, clock, seconds=options.seconds, every=EVERY, seed=options.seed
    )
    for point in points:
        print(
            f"{point.seconds:6.1f} s  {point.epochs:6.2f} epochs  "
            f"radius {point.ramp:.2f}  loss {point.loss:.3f}",
            flush=True,
        )
    return point


def measure(model: nn.Module, around: Region, *, attacked: int) -> dict[str, object]:
    """Measure on test images."""
    images, labels = clocked.read("t10k")
    with torch.no_grad():
        clean = torch.cat([model(part).argmax(1) for part in torch.split(images, BATCH)]) == labels
    started = time.monotonic()
    proven = {
        method: certification.certify(
            model, around, images, labels, method=method, batch_size=BATCH
        )
        for method in ("ibp", "crown-ibp")
    }
    seconds = time.monotonic() - started
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
    usual = clocked.BOUNDED
    parser.add_argument("--recipe", default=usual.defense.model_dump_json())
    parser.add_argument("--architecture", default=usual.architecture.model_dump_json())
    parser.add_argument("--schedule", default=usual.schedule.model_dump_json())
    parser.add_argument("--seconds", type=float, default=300.0, help="of training")
    parser.add_argument(
        "--ramp", type=float, default=usual.ramp, help="share of them in which eps grows"
    )
    parser.add_argument("--rate", type=float, default=usual.optimiser.rate)
    parser.add_argument("--batch-size", type=int, default=usual.batch_size)
    parser.add_argument("--averaging", type=float, default=0, help="the past's share per step")
    parser.add_argument("--shift", type=int, default=0, help="pixels")
    parser.add_argument("--attacked", type=int, default=1000, help="test images under PGD")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processor", action="store_true", help="count processor seconds")
    parser.add_argument("--save", type=Path, help="a folder for the model, as attacks.py reads it")
    parser.add_argument("--quick", action="store_true", help="30 s")
    options = parser.parse_args()
    options.seconds = 30.0 if options.quick else options.seconds
    plan = Plan.model_validate(
        {
            "architecture": json.loads(options.architecture),
            "defense": json.loads(options.recipe),
            "optimiser": usual.optimiser.model_dump() | {"rate": options.rate},
            "schedule": json.loads(options.schedule),
            "batch_size": options.batch_size,
            "ramp": options.ramp,
            "shift": options.shift,
            "averaging": options.averaging,
        }
    )
    clock = Clock(options.processor)
    point = train(options, plan, clock)
    images, _ = clocked.read("train")
    spec = clocked.describe(images)
    if options.save:
        candidates.save(options.save, plan.architecture, spec, point.model)
    around = region.build(clocked.THREAT, spec)
    found = measure(point.model, around, attacked=options.attacked)
    result = {
        "plan": plan.model_dump(),
        "weights": candidates.count(point.model),
        "seconds": round(clock.wall, 1),
        "cpu_seconds": round(clock.processor, 1),
        "threads": torch.get_num_threads(),
        "epochs": round(point.epochs, 2),
        "loss": round(point.loss, 4),
        **found,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
