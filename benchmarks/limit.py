"""How near the attack suite is to the time of its passes: ``python benchmarks/limit.py``.

Counts the rows that the suite sends through the network, forward alone and forward and backward,
and multiplies them with the time of a bare pass at the suite's own batch size: that is the floor
below which no bookkeeping could bring it on this network. Prints the ratio per attack; the last
line is one JSON object. The goal is a ratio of 1.25.

Bare passes are timed before and after each attack, on one thread and in processor seconds, so that
other work on the machine weighs on both alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from hardgate import cascade, region
from hardgate.attacks import Cascade, autopgd
from hardgate.attacks.ascent import frozen

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))  # for the benchmark of the attacks themselves
REPEATS = 8


@dataclass
class Passes:
    """Rows that went through the network."""

    forward: int = 0
    both: int = 0


@contextmanager
def counted(model: nn.Module) -> Iterator[Passes]:
    """Count what the model is asked."""
    passes = Passes()

    def count(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        rows = arguments[0]
        if rows.requires_grad:
            passes.both += len(rows)
        else:
            passes.forward += len(rows)

    hook = model.register_forward_pre_hook(count)
    try:
        yield passes
    finally:
        hook.remove()


def bare(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Time one row of a forward pass, and of a forward and a backward pass, in seconds."""
    forward, both = [], []
    with frozen(model):
        for _ in range(REPEATS):
            started = time.process_time()
            with torch.no_grad():
                model(images)
            forward.append(time.process_time() - started)
            started = time.process_time()
            variable = images.detach().requires_grad_()
            loss = functional.cross_entropy(model(variable), labels, reduction="sum")
            torch.autograd.grad(loss, variable)
            both.append(time.process_time() - started)
    return statistics.median(forward) / len(images), statistics.median(both) / len(images)


def main() -> None:
    """Measure every rung of the benchmark's ladder by itself, and all together."""
    import attacks as benchmark

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ROOT / "runs/mnist/training/model")
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--quick", action="store_true", help="256 images")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    count = 256 if arguments.quick else arguments.samples
    settings, model, images, labels = benchmark.load(arguments.model, count)
    ball = region.ImageRegion(settings.threat.norm, settings.threat.eps)
    rows, totals = {}, [0.0, 0.0]
    for rung in benchmark.LADDER.rungs:
        batch = images[: autopgd.ROWS], labels[: autopgd.ROWS]
        before = bare(model, *batch)
        started = time.process_time()
        with counted(model) as passes:
            cascade.measure(
                Cascade(name="cascade", rungs=(rung,)),
                settings.threat,
                ball,
                model,
                images,
                labels,
                seed=settings.seed,
                batch_size=count,
            )
        seconds = time.process_time() - started
        after = bare(model, *batch)
        forward, both = ((a + b) / 2 for a, b in zip(before, after, strict=True))
        floor = passes.forward * forward + passes.both * both
        totals = [totals[0] + seconds, totals[1] + floor]
        rows[rung.name] = {
            "seconds": seconds,
            "floor": floor,
            "ratio": seconds / floor,
            "forward_rows": passes.forward,
            "forward_backward_rows": passes.both,
            "forward_microseconds": forward * 1e6,
            "forward_backward_microseconds": both * 1e6,
        }
        print(
            f"{rung.name:10}{seconds:8.1f} s{floor:8.1f} s floor{seconds / floor:7.2f}   "
            f"{passes.both} rows both ways at {both * 1e6:.0f} us, "
            f"{passes.forward} forward at {forward * 1e6:.0f} us",
            flush=True,
        )
    ratio = totals[0] / totals[1]
    print(f"{'all':10}{totals[0]:8.1f} s{totals[1]:8.1f} s floor{ratio:7.2f}")
    print(json.dumps({"images": count, "threads": 1, "rungs": rows, "ratio": ratio}))


if __name__ == "__main__":
    main()
