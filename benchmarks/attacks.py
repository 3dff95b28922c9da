"""Our attack suite beside its peers': ``python benchmarks/attacks.py`` (``--quick`` in 5 minutes).

The same trained network and the same test images for all: ours in report mode
(:data:`LADDER`) and in gate mode (a sequential test against the gate's bound), torchattacks'
AutoAttack, the original AutoAttack (pyautoattack) and ART's. One thread each. Prints robust
accuracy, wall seconds and processor seconds; the last line is one JSON object.

What bound propagation proves is not attacked (``--proof``); the proof's own time counts as ours.
On a network trained for its bounds that is nearly everything.

Ratios are of processor seconds: on a machine with other work they stay the same, while wall
seconds do not. Peers come from the dependency group ``bench``; one that is missing is said to be.

The goals: not above the lowest peer by more than 0.005; report mode at least 3 times as fast as
the fastest peer, gate mode 10 times.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hardgate import candidates, cascade, params, region, samples, splits
from hardgate.attacks import APGDCE, APGDT, Cascade, Relay
from hardgate.certification import margins
from hardgate.params import Params

ROOT = Path(__file__).resolve().parents[1]
QUICK = 100  # images
LADDER = Cascade(
    name="cascade",
    rungs=(
        APGDCE(name="apgd-ce", steps=50, restarts=1),
        Relay(name="relay", queries=500, steps=25, rounds=2),
        APGDT(name="apgd-t", steps=15, targets=9),
    ),
)
ALPHA = 0.05


@dataclass(frozen=True)
class Row:
    """What one suite made of the images."""

    name: str
    accuracy: float | None  # gate mode knows none
    wall: float
    processor: float
    attacked: int


def load(directory: Path, count: int) -> tuple[Params, nn.Module, Tensor, Tensor]:
    """Give the trained network and the first test images."""
    settings = params.load("mnist")
    model = candidates.load(directory, torch.device("cpu"))
    raw = settings.dataset.load(ROOT, cache=ROOT / "cache")
    assignment = splits.assign(raw, settings.validation, seed=settings.seed)
    encoded = settings.dataset.encode(raw, assignment.rows("train"))
    rows = assignment.rows("test")[:count]
    images = samples.as_floats(torch.from_numpy(encoded.inputs[rows]))
    return settings, model.eval(), images, torch.from_numpy(encoded.labels[rows])


def timed(name: str, model: nn.Module, labels: Tensor, run: Callable[[], Tensor]) -> Row:
    """Run a suite that gives adversarial images, and count with the model itself."""
    wall, processor = time.perf_counter(), time.process_time()
    quiet = io.StringIO()  # progress bars
    with (
        contextlib.redirect_stdout(quiet),
        contextlib.redirect_stderr(quiet),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        found = run()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    with torch.no_grad():
        right = model(found).argmax(dim=1) == labels
    return Row(name, right.double().mean().item(), wall, processor, len(labels))


def proven(
    proof: str, around: region.ImageRegion, model: nn.Module, images: Tensor, labels: Tensor
) -> Tensor | None:
    """Tell which images need no attack."""
    if proof == "none":
        return None
    return margins.certify(
        model, around, images, labels, method=proof, batch_size=min(500, len(images))
    )


def report(settings: Params, model: nn.Module, images: Tensor, labels: Tensor, proof: str) -> Row:
    """Measure all images in full strength."""
    return timed("report", model, labels, lambda: _worst(settings, model, images, labels, proof))


def _worst(
    settings: Params, model: nn.Module, images: Tensor, labels: Tensor, proof: str
) -> Tensor:
    around = region.ImageRegion(settings.threat.norm, settings.threat.eps)
    return cascade.measure(
        LADDER,
        settings.threat,
        around,
        model,
        images,
        labels,
        seed=settings.seed,
        batch_size=len(images),
        certified=proven(proof, around, model, images, labels),
    ).worst.adversarial


def gate(
    settings: Params, model: nn.Module, images: Tensor, labels: Tensor, proof: str, bound: float
) -> tuple[Row, str]:
    """Ask only whether the robust accuracy reaches the bound."""
    around = region.ImageRegion(settings.threat.norm, settings.threat.eps)
    wall, processor = time.perf_counter(), time.process_time()
    found = cascade.judge(
        LADDER,
        settings.threat,
        around,
        model,
        images,
        labels,
        bound=bound,
        alpha=ALPHA,
        seed=settings.seed,
        batch_size=len(images),
        certified=proven(proof, around, model, images, labels),
    )
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    verdict = {True: "passes", False: "fails", None: "not sure"}[found.passes]
    return Row("gate", None, wall, processor, found.seen), verdict


def torchattacks_suite(model: nn.Module, images: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Run torchattacks' AutoAttack as it comes."""
    import torchattacks

    found: Tensor = torchattacks.AutoAttack(model, norm="Linf", eps=eps, seed=0)(images, labels)
    return found


def original_suite(model: nn.Module, images: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Run the original AutoAttack's standard version."""
    import pyautoattack

    suite = pyautoattack.AutoAttack(model, norm="Linf", eps=eps, version="standard", seed=0)
    found = suite.run_standard_evaluation(images, labels, batch_size=250)
    return found[0] if isinstance(found, tuple) else found


def art_suite(model: nn.Module, images: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Run ART's AutoAttack as it comes."""
    from art.attacks.evasion import AutoAttack
    from art.estimators.classification import PyTorchClassifier

    victim = PyTorchClassifier(
        model,
        nn.CrossEntropyLoss(),
        tuple(images.shape[1:]),
        10,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    suite = AutoAttack(victim, norm="inf", eps=eps, eps_step=eps / 4, batch_size=250)
    return torch.from_numpy(suite.generate(images.numpy(), labels.numpy()))


PEERS = {"torchattacks": torchattacks_suite, "original": original_suite, "art": art_suite}


def main() -> None:
    """Measure, print the table, and end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ROOT / "runs/mnist/training/model")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} images, without ART's")
    parser.add_argument("--proof", choices=("crown-ibp", "ibp", "none"), default="crown-ibp")
    parser.add_argument("--bound", type=float, help="of gate mode; the gate's when not given")
    parser.add_argument("--peers", help="comma-separated; all when not given")
    arguments = parser.parse_args()
    if not (arguments.model / "weights.safetensors").exists():
        parser.error(f"no model in {arguments.model}; make one with: hardgate harden mnist")
    torch.set_num_threads(1)
    count = QUICK if arguments.quick else arguments.samples
    settings, model, images, labels = load(arguments.model, count)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    rows = [show(report(settings, model, images, labels, arguments.proof))]
    bound = arguments.bound or _bound(settings)
    gated, verdict = gate(settings, model, images, labels, arguments.proof, bound)
    rows.append(show(gated))
    missing = []
    peers = [name for name in PEERS if not (arguments.quick and name == "art")]
    if arguments.peers is not None:
        peers = [name for name in arguments.peers.split(",") if name]
    for name in peers:
        suite = PEERS[name]
        try:
            rows.append(
                show(
                    timed(
                        name,
                        model,
                        labels,
                        lambda suite=suite: suite(model, images, labels, settings.threat.eps),
                    )
                )
            )
        except ImportError as error:
            missing.append(name)
            print(f"{name:14} is not installed ({error.name}); see the dependency group bench")
    print(json.dumps(summary(rows, bound=bound, verdict=verdict, missing=missing, images=count)))


def _bound(settings: Params) -> float:
    return next(g.bound for g in settings.promotion.gates if g.kind == "robust_accuracy")


def show(row: Row) -> Row:
    """Print a row as it is ready: the peers take their time."""
    accuracy = "" if row.accuracy is None else f"{row.accuracy:.4f}"
    print(
        f"{row.name:14}{accuracy:>9}{row.wall:9.1f} s wall{row.processor:9.1f} s processor"
        f"{row.attacked:6} images",
        flush=True,
    )
    return row


def summary(
    rows: list[Row], *, bound: float, verdict: str, missing: list[str], images: int
) -> dict[str, Any]:
    """Compare with the lowest accuracy and the shortest time of any peer."""
    ours = {row.name: row for row in rows if row.name in ("report", "gate")}
    peers = [row for row in rows if row.name not in ours]
    figures: dict[str, Any] = {
        "images": images,
        "threads": 1,
        "rows": [asdict(row) for row in rows],
        "bound": bound,
        "verdict": verdict,
        "missing": missing,
    }
    if peers:
        quickest = min(row.processor for row in peers)
        lowest = min(row.accuracy or 0.0 for row in peers)
        figures["above_lowest_peer"] = (ours["report"].accuracy or 0.0) - lowest
        figures |= {f"{name}_speedup": quickest / row.processor for name, row in ours.items()}
        print(
            f"report mode: {figures['above_lowest_peer']:+.4f} from the lowest peer, "
            f"{figures['report_speedup']:.1f} times as fast as the fastest; "
            f"gate mode: {verdict}, {figures['gate_speedup']:.1f} times as fast"
        )
    return figures


if __name__ == "__main__":
    main()
