"""What the pipeline costs beyond its arithmetic: ``python benchmarks/pipeline.py mnist``.

Runs ``hardgate harden MODEL`` cold, in a copy of the project, and right after it a bare script of
the same library calls without Prefect, MLflow, Great Expectations and DVC, in the same order with
as many threads. Prints seconds per stage, the compute inside each stage, their ratio, and the
ratio of the totals; the last line is one JSON object with all figures.

Absolute seconds depend on the machine; the ratios are what to quote. ``--repeat 3`` alternates the
two and takes medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SKIPPED = shutil.ignore_patterns(
    "runs", ".hardgate", ".venv", "cache", "tmp", "__pycache__", ".*_cache", "dvc.lock"
)
STAGES = ("validation", "augmentation", "training", "explanation", "evaluation", "promotion")
# The library's entry points: what any script for the same job would have to call.
COMPUTE = (
    ("hardgate.splits", ("assign",)),
    ("hardgate.augmentations", ("augment",)),
    ("hardgate.training", ("fit",)),
    ("hardgate.attribution", ("explain",)),
    ("hardgate.robustness", ("measure", "security_curve")),
    ("hardgate.diagnostics", ("measure",)),
    ("hardgate.corruptions", ("corrupt",)),
    ("hardgate.quality", ("measure", "corruption", "auc")),
    ("hardgate.fairness", ("measure",)),
    ("hardgate.evidence.outcomes", ("write", "answers")),
    ("hardgate.evidence.recomputation", ("recompute",)),
    ("hardgate.gates", ("decide",)),
)


class Stopwatch:
    """Collects when the library computed, from any thread, and when each stage began."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.busy: list[tuple[float, float]] = []
        self.begun: list[tuple[str, float]] = []

    def watch(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Time every call of a function."""

        def timed(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*arguments, **options)
            finally:
                with self._guard:
                    self.busy.append((started, time.perf_counter()))

        return timed

    def install(self) -> None:
        """Put a watch on every entry point."""
        import importlib

        for name, functions in COMPUTE:
            module = importlib.import_module(name)
            for function in functions:
                setattr(module, function, self.watch(getattr(module, function)))
        from hardgate.datasets import BreastCancer, Idx, ImageFolder, Npz, Table

        for kind in (BreastCancer, Idx, ImageFolder, Npz, Table):
            for method in ("load", "encode"):
                setattr(kind, method, self.watch(getattr(kind, method)))

    def per_stage(self, end: float) -> dict[str, dict[str, float]]:
        """Sum up: seconds of each stage, and seconds in which anything computed inside it."""
        found = {}
        limits = [*(at for _, at in self.begun[1:]), end]
        for (stage, begin), until in zip(self.begun, limits, strict=True):
            inside = [(max(a, begin), min(b, until)) for a, b in self.busy]
            found[stage] = {
                "seconds": until - begin,
                "compute": _covered((a, b) for a, b in inside if b > a),
            }
        return found


def _covered(intervals: Iterable[tuple[float, float]]) -> float:
    """Measure the union of intervals."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def run_pipeline(model: str) -> None:
    """Run the command in this process, watched; print the figures as JSON on standard output."""
    watch = Stopwatch()
    started = time.perf_counter()
    from hardgate import progress

    class Listener(progress.Silent):
        def entered(self, stage: str, *, reused: bool) -> None:
            if reused:
                raise SystemExit(f"{stage} was up to date; a cold run reuses nothing")
            watch.begun.append((stage, time.perf_counter()))

    from flows import _api
    from hardgate import state

    with _api.running() as api, state.exclusive(model), progress.listening(Listener()):
        from flows.harden import harden

        watch.install()
        api.wait()
        decision = harden(model)
        ended = time.perf_counter()
    print(
        json.dumps(
            {
                "start": watch.begun[0][1] - started,
                "stages": watch.per_stage(ended),
                "promoted": decision.promoted,
            }
        )
    )


def run_bare(model: str) -> None:
    """Do the same arithmetic in a plain script; print seconds per stage as JSON."""
    marks = [("validation", time.perf_counter())]
    import torch

    from hardgate import (
        attribution,
        augmentations,
        candidates,
        devices,
        gates,
        params,
        probes,
        region,
        robustness,
        samples,
        splits,
        training,
    )
    from hardgate.evidence import outcomes

    settings, device = params.load(model), devices.pick()
    raw = settings.dataset.load(Path(), cache=Path("cache"))
    assignment = splits.assign(raw, settings.validation, seed=settings.seed)
    encoded = settings.dataset.encode(raw, assignment.rows("train"))
    spec, bounds = encoded.spec, region.build(settings.threat, encoded.spec)

    def split(name: str) -> samples.Samples:
        rows = assignment.rows(name)
        inputs, labels = encoded.inputs[rows], encoded.labels[rows]
        return samples.Samples(*map(torch.from_numpy, (inputs, labels, rows)))

    train, held_out, test = map(split, splits.SPLITS)
    marks.append(("augmentation", time.perf_counter()))
    corpus, _ = augmentations.augment(
        settings.augmentation,
        train,
        spec=spec,
        threat=settings.threat,
        region=bounds,
        device=device,
        seed=settings.seed,
    )
    marks.append(("training", time.perf_counter()))
    fitted = training.fit(
        settings.training,
        spec,
        bounds,
        corpus,
        held_out,
        seed=settings.seed,
        device=device,
        checkpoint=Path("bare.safetensors"),
        identity="bare",
    )
    candidates.save(Path("bare"), settings.training.architecture, spec, fitted.model)
    marks.append(("explanation", time.perf_counter()))

    def perturb(inputs: Any, labels: Any) -> Any:
        return robustness.measure(
            settings.explanation.attack,
            settings.threat,
            bounds,
            fitted.model,
            inputs,
            labels,
            seed=settings.seed,
            batch_size=settings.evaluation.batch_size,
            attack_all=True,
        ).adversarial

    attributions = attribution.explain(
        settings.explanation,
        spec,
        fitted.model,
        train=train,
        test=test,
        seed=settings.seed,
        device=device,
        perturb=perturb,
    )
    attributions.plot(Path("plots"), spec)
    marks.append(("evaluation", time.perf_counter()))
    attacked = probes.choose(test, settings.evaluation.samples, seed=settings.seed)
    size, seed = settings.evaluation.batch_size, settings.seed
    common = (spec, settings.threat, bounds, train, held_out, test, attacked, size, device, seed)
    origin = probes.Origin(
        training=settings.training,
        directory=Path("bare"),
        scratch=Path(),
        raw=lambda: raw,
        corpus=lambda: corpus,
    )
    planned = probes.plan(settings.evaluation, spec, settings.threat)

    def measure(probe: probes.Probe) -> probes.Found:
        torch.set_num_threads(1)
        return probes.measure(
            probe,
            settings.evaluation,
            probes.Subject(candidates.load(Path("bare"), device), *common),
            origin,
        )

    with ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1))) as pool:
        found = dict(zip((p.name for p in planned), pool.map(measure, planned), strict=True))
    subject = probes.Subject(fitted.model, *common)
    gathered = probes.gather(subject, found)
    outcomes.write(gathered, Path("bare.jsonl"))
    measured = probes.conclude(settings.evaluation, subject, gathered, found)
    marks.append(("promotion", time.perf_counter()))
    gates.decide(settings.promotion.gates, measured | attributions.measurements)
    ends = [*(at for _, at in marks[1:]), time.perf_counter()]
    print(json.dumps({name: end - at for (name, at), end in zip(marks, ends, strict=True)}))


def child(role: str, model: str, folder: Path) -> tuple[float, dict[str, Any]]:
    """Run one of the two in a process of its own; give its wall seconds and its figures."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "HARDGATE_HOME": str(folder / ".hardgate"),
    }
    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "PREFECT_HOME"):
        environment.pop(name, None)
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(folder / "benchmarks/pipeline.py"), model, "--role", role],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return time.perf_counter() - started, json.loads(done.stdout.splitlines()[-1])


def once(model: str) -> dict[str, Any]:
    """Run the pipeline cold in a fresh copy of the project, then the bare script beside it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "project"
        shutil.copytree(ROOT, folder, ignore=SKIPPED)
        total, figures = child("pipeline", model, folder)
        bare_total, bare = child("bare", model, folder)
    return {**figures, "total": total, "bare_total": bare_total, "bare": bare}


def main() -> None:
    """Measure, print the table, and end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--role", choices=("pipeline", "bare"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        {"pipeline": run_pipeline, "bare": run_bare}[arguments.role](arguments.model)
        return
    runs = [once(arguments.model) for _ in range(arguments.repeat)]

    def median(pick: Callable[[dict[str, Any]], float]) -> float:
        return statistics.median(pick(run) for run in runs)

    print(f"{'stage':14}{'seconds':>9}{'compute':>9}{'ratio':>7}{'bare':>9}")
    rows: dict[str, dict[str, float]] = {}
    for stage in STAGES:
        row = {
            "seconds": median(lambda run, s=stage: run["stages"][s]["seconds"]),
            "compute": median(lambda run, s=stage: run["stages"][s]["compute"]),
            "bare": median(lambda run, s=stage: run["bare"][s]),
        }
        row["overhead"] = row["seconds"] / row["compute"] if row["compute"] else float("inf")
        rows[stage] = row
        print(
            f"{stage:14}{row['seconds']:9.1f}{row['compute']:9.1f}{row['overhead']:7.2f}"
            f"{row['bare']:9.1f}"
        )
    start, total = median(lambda run: run["start"]), median(lambda run: run["total"])
    bare = median(lambda run: run["bare_total"])
    ratio = statistics.median(run["total"] / run["bare_total"] for run in runs)
    print(f"{'start':14}{start:9.1f}")
    print(f"{'total':14}{total:9.1f}{'':16}{bare:9.1f}   pipeline / bare = {ratio:.2f}")
    figures = {"model": arguments.model, "runs": len(runs), "stages": rows, "start": start}
    figures |= {"total": total, "bare_total": bare, "ratio": ratio}
    for row in rows.values():
        row["overhead"] = row["overhead"] if row["compute"] else None
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
