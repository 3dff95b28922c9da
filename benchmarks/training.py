"""Robustness against the clock: ``python benchmarks/training.py`` (``--quick`` in 5 minutes).

Trains on MNIST at eps 0.3 for a minute, five and ten, by three recipes from scratch: ours
(:data:`OURS`, one for each budget), fast adversarial training as published (:data:`FAST`) and PGD
training as published (:data:`MADRY`), all with the same clock and rate that falls to nothing at the
end of the budget. The models at the end are judged by the original AutoAttack (pyautoattack) on
1,000 test images, drawn at random from the 10,000 with a fixed seed. Models on the way give the
curve; they are judged by our own ladder of attacks on fewer of those images, because AutoAttack
takes many minutes for each model. Training sees no test image, and recipes are chosen on 1,000
other test images (``--choose`` judges there), not on held-out training images: those come from the
hands that wrote the rest, and hid how much a long training learns by heart.

``--processor`` counts processor seconds, two for each second of the budget, the same for everyone
on a busy machine. The last line is one JSON object. AutoAttack comes with the dependency group
``bench``; without it a model's end is judged by our ladder alone, and said to be.

The goals: 0.83 within 60 s (what fast adversarial training has published), 0.9281 within 300 s
(TRADES), 0.9396 within 600 s (CROWN-IBP).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import attacks
import clocked
import torch
from clocked import Clock, Plan
from torch import Tensor, nn

from hardgate import candidates, cascade, certification, region
from hardgate.defenses import PGD

GOALS = {60: 0.83, 300: 0.9281, 600: 0.9396}  # seconds of two cores, robust accuracy
POINTS = 6  # of each curve
ON_THE_WAY = 200  # images
CHOSEN_ON = 1000  # test images that judge no result
QUICK, FEW = 15.0, 30  # seconds of training per recipe, images

NETWORK = {"name": "small-cnn", "channels": 16, "hidden": 100}
# Wong, Rice and Kolter (2020), arXiv:2001.03994, and their code for MNIST.
FAST = Plan.model_validate(
    {
        "architecture": NETWORK,
        "defense": {"recipe": "fgsm-rs", "step_size": 0.375},
        "optimiser": {"name": "adam", "rate": 0.005},
        "schedule": {"name": "one-cycle", "peak": 0.4},
        "batch_size": 100,
        "ramp": 0,
    }
)
# Madry et al. (2018), arXiv:1706.06083: 40 steps of 0.01; network and rate as above.
MADRY = FAST.model_copy(update={"defense": PGD(recipe="pgd", step_size=0.01, steps=40)})
# Warm starts and weights averaged over some hundred steps.
QUICKEST = Plan.model_validate(
    {
        "architecture": NETWORK,
        "defense": {"recipe": "pgd", "step_size": 0.15, "steps": 2, "carry": 10},
        "optimiser": {"name": "adam", "rate": 0.005, "clip": 1.0},
        "schedule": {"name": "one-cycle", "peak": 0.4},
        "batch_size": 128,
        "ramp": 0.25,
        "averaging": 0.998,
    }
)
# In less than an epoch or two there is no last epoch to start from: twice the steps instead.
HASTY = QUICKEST.model_copy(
    update={"defense": PGD(recipe="pgd", step_size=0.15, steps=4), "averaging": 0.0}
)
# Beyond a minute bounds carry further than attacks, and cost clean accuracy.
OURS = {30: HASTY, 60: QUICKEST, 300: clocked.BOUNDED, 600: clocked.BOUNDED}


@dataclass(frozen=True)
class Judged:
    """One point of a curve; ``judge`` says by whom."""

    seconds: float
    epochs: float
    clean: float
    robust: float
    certified: float
    judge: str
    images: int


@dataclass(frozen=True)
class Curve:
    """What one recipe made of one budget; the last point is the end's."""

    recipe: str
    budget: float
    plan: Plan
    points: tuple[Judged, ...]
    seconds_judging: float

    @property
    def end(self) -> Judged:
        """The judgement of the trained model."""
        return self.points[-1]


@dataclass(frozen=True)
class Bench:
    """Images to train on and to judge with."""

    images: Tensor
    labels: Tensor
    judged: Tensor
    truth: Tensor

    def judge(self, model: nn.Module, *, images: int, original: bool) -> tuple[float, float, float]:
        """Give clean, robust and certified accuracy on the first images."""
        inputs, labels = self.judged[:images], self.truth[:images]
        around = region.build(clocked.THREAT, clocked.describe(self.images))
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        try:
            proven = certification.certify(
                model, around, inputs, labels, method="ibp", batch_size=500
            )
            with torch.no_grad():
                right = model(inputs).argmax(dim=1) == labels
            found = (
                attacks.original_suite(model, inputs, labels, clocked.THREAT.eps)
                if original
                else self._ladder(model, inputs, labels, proven)
            )
            with torch.no_grad():
                survives = right & (model(found).argmax(dim=1) == labels)
        finally:
            for parameter in model.parameters():
                parameter.requires_grad_(True)
        if bool((proven & ~survives).any()):
            raise SystemExit("an attack broke a certified image: the bounds are wrong")
        shares = (mask.double().mean().item() for mask in (right, survives, proven))
        return tuple(round(share, 4) for share in shares)

    def _ladder(self, model: nn.Module, inputs: Tensor, labels: Tensor, proven: Tensor) -> Tensor:
        ladder = cascade.measure(
            attacks.LADDER,
            clocked.THREAT,
            region.ImageRegion(clocked.THREAT.norm, clocked.THREAT.eps),
            model,
            inputs,
            labels,
            seed=0,
            batch_size=len(inputs),
            certified=proven,
        )
        return ladder.worst.adversarial


def gather(*, choose: bool, seed: int) -> Bench:
    """Read MNIST; judge on random test images, or on others, on which recipes are chosen."""
    images, labels = clocked.read("train")
    unseen, truth = clocked.read("t10k")
    drawn = torch.randperm(len(unseen), generator=torch.Generator().manual_seed(seed))
    drawn = drawn[-CHOSEN_ON:] if choose else drawn[:-CHOSEN_ON]
    return Bench(images, labels, unseen[drawn], truth[drawn])


def race(name: str, plan: Plan, bench: Bench, budget: float, options: argparse.Namespace) -> Curve:
    """Train by one recipe for one budget; judge on the way and at the end."""
    clock = Clock(options.processor)
    seconds = budget * (2 if options.processor else 1)
    points, started = [], 0.0
    for point in clocked.train(
        plan,
        bench.images,
        bench.labels,
        clock,
        seconds=seconds,
        every=seconds / POINTS,
        seed=options.seed,
    ):
        over = point.seconds >= seconds
        if over and options.save:
            candidates.save(
                options.save / f"{name}-{budget:g}",
                plan.architecture,
                clocked.describe(bench.images),
                point.model,
            )
        started = time.monotonic()
        for judge, images in judges(options, over=over):
            scores = bench.judge(point.model, images=images, original=judge == "autoattack")
            points.append(
                Judged(round(point.seconds, 1), round(point.epochs, 2), *scores, judge, images)
            )
            show(name, points[-1])
    return Curve(name, budget, plan, tuple(points), round(time.monotonic() - started, 1))


def judges(options: argparse.Namespace, *, over: bool) -> Iterator[tuple[str, int]]:
    """Name who judges, and on how many images."""
    yield "ladder", options.samples if over else min(ON_THE_WAY, options.samples)
    if over and options.original:
        yield "autoattack", options.samples


def show(name: str, point: Judged) -> None:
    """Print a point as soon as it is known."""
    print(
        f"{name:8}{point.seconds:8.1f} s{point.epochs:7.2f} epochs   clean {point.clean:.4f}   "
        f"robust {point.robust:.4f}   certified {point.certified:.4f}   "
        f"({point.judge}, {point.images} images)",
        flush=True,
    )


def main() -> None:
    """Race, print, and end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budgets", default="60,300,600", help="seconds on two cores")
    parser.add_argument("--recipes", default="ours,fast,madry")
    parser.add_argument("--plan", help="JSON that replaces ours")
    parser.add_argument("--samples", type=int, default=1000, help="images at the end")
    parser.add_argument("--choose", action="store_true", help="judge on other test images")
    parser.add_argument("--processor", action="store_true", help="count processor seconds")
    parser.add_argument("--no-original", dest="original", action="store_false", help="ladder only")
    parser.add_argument("--save", type=Path, help="a folder for the models, as attacks.py reads it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, help="a PNG or SVG file of the curves")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:g} s each, {FEW} images")
    options = parser.parse_args()
    if options.quick:
        options.samples = FEW
    options.original &= available()
    budgets = [QUICK] if options.quick else [float(part) for part in options.budgets.split(",")]
    bench = gather(choose=options.choose, seed=0)
    curves = [
        race(name, planned(name, budget, options.plan), bench, budget, options)
        for budget in budgets
        for name in options.recipes.split(",")
    ]
    if options.plot:
        draw(curves, options.plot)
    print(json.dumps(summary(curves, options)))


def available() -> bool:
    """Tell whether the original AutoAttack is installed."""
    try:
        import pyautoattack  # noqa: F401
    except ImportError:
        print("pyautoattack is not installed (dependency group bench): our ladder judges alone")
        return False
    return True


def planned(name: str, budget: float, replaced: str | None) -> Plan:
    """Give the plan of a recipe for a budget: of ours, the one for the next longer goal."""
    if name != "ours":
        return {"fast": FAST, "madry": MADRY}[name]
    if replaced:
        return Plan.model_validate_json(replaced)
    return next((OURS[goal] for goal in sorted(OURS) if goal >= budget), OURS[max(OURS)])


def summary(curves: list[Curve], options: argparse.Namespace) -> dict[str, object]:
    """Say what was reached, and what was asked for."""
    reached = {}
    for curve in curves:
        goal = GOALS.get(int(curve.budget))
        if curve.recipe == "ours" and goal is not None:
            reached[f"{curve.budget:g}"] = {"goal": goal, "robust": curve.end.robust}
            verdict = "reached" if curve.end.robust >= goal else "missed"
            print(f"within {curve.budget:g} s: {curve.end.robust:.4f}, goal {goal} {verdict}")
    return {
        "clock": "processor, two for each second" if options.processor else "wall",
        "threads": torch.get_num_threads(),
        "judged_on": "other test images, to choose" if options.choose else "test images",
        "seed": options.seed,
        "goals": reached,
        "curves": [asdict(curve) | {"plan": curve.plan.model_dump()} for curve in curves],
    }


def draw(curves: list[Curve], path: Path) -> None:
    """Draw robust accuracy against seconds; the ends as judged last."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    colours = {"ours": "tab:green", "fast": "tab:orange", "madry": "tab:blue"}
    for curve in curves:
        way = [point for point in curve.points if point.judge == "ladder"]
        shares = [point.seconds / curve.end.seconds * curve.budget for point in way]
        colour = colours[curve.recipe]
        axes.plot(shares, [point.robust for point in way], color=colour, alpha=0.5)
        label = curve.recipe if curve.budget == curves[0].budget else None
        axes.plot(curve.budget, curve.end.robust, "o", color=colour, label=label)
    for seconds, goal in GOALS.items():
        axes.plot(seconds, goal, "k+", markersize=12)
    axes.set(xlabel="seconds of training on two cores", ylabel="robust accuracy", ylim=(0, 1))
    axes.legend(title="+ goals; dots: judged at the end", loc="lower right")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
