"""What adaptation gains on shifted data: ``python benchmarks/adaptation.py`` (``--quick``).

Each case splits real data in two worlds: a model is trained in the old one and judged in the new.
Half of the new world's rows are at hand for adapting, the other half is judged.

- ``credit``: clients below 45 and above; limits above 50,000 and below; other schools and high
  school; or as many who default as who pay;
- ``mnist``: digits as they are and corrupted or rotated ones, or other shares of digits;
- ``diagnosis``: tumours of a small radius and of a large one.

Ways of adapting, all from the same model but the last two, which train:

- ``priors``, ``standardising``, ``alignment``: :mod:`hardgate.adaptation`, without any label;
- ``importance``: trained again on old rows drawn by weight, without any new label (tables);
- ``fine-tuning``: trained on with some labelled new rows among as many old ones.

A gain is the difference to the model as it was on the same judged rows: in accuracy with a
bootstrap interval over rows and seeds, and in AUC where there are two classes. Training is as
params.yaml says with fewer epochs; on mnist without the defence, which would take hours. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hardgate import candidates, corruptions, params, quality, region, splits, statistics, training
from hardgate.adaptation import alignment, importance, priors, standardising
from hardgate.defenses import Standard
from hardgate.records import InputSpec, TableInput
from hardgate.risks.drift import label_shift
from hardgate.samples import Samples, as_floats

ROOT = Path(__file__).resolve().parents[1]
EPOCHS = {"credit": 10, "mnist": 3, "diagnosis": 30}
TUNED = 5  # epochs of fine-tuning
SLOWER = 0.2  # of the learning rate, for fine-tuning
LABELLED = {"credit": 500, "mnist": 500, "diagnosis": 40}
MOST = 10.0  # times the average that an old row may weigh
ROUNDS = 50
IMAGES = 12_000
BATCH = 500
CHANGES: dict[str, tuple[corruptions.Name, int]] = {
    "rotate 3": ("rotate", 3),
    "translate 2": ("translate", 2),
    "brightness 5": ("brightness", 5),
    "shot noise 5": ("shot_noise", 5),
    "glass blur 4": ("glass_blur", 4),
}


@dataclass(frozen=True)
class Case:
    """Two worlds of one model's data: rows to train on, rows to adapt to, rows to judge."""

    model: str
    name: str
    spec: InputSpec
    settings: params.Params
    train: Samples
    held_out: Samples
    new: Samples
    judged: Samples
    seed: int


@dataclass(frozen=True)
class Answers:
    """What a model said of the judged rows."""

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    @property
    def correct(self) -> NDArray[np.float64]:
        """One where it was right, shape ``(n,)``."""
        return (self.probabilities.argmax(1) == self.labels).astype(float)

    @property
    def auc(self) -> float | None:
        """The area under the curve, for two classes."""
        if self.probabilities.shape[1] > 2 or len(set(self.labels.tolist())) < 2:
            return None
        return quality.auc(self.labels, self.probabilities).value


def everything(model: str) -> tuple[params.Params, InputSpec, Samples]:
    """Read a model's data, encoded with the statistics of its training split."""
    settings = params.load(model)
    raw = settings.dataset.load(ROOT, cache=ROOT / "cache")
    assignment = splits.assign(raw, settings.validation, seed=settings.seed)
    encoded = settings.dataset.encode(raw, assignment.rows("train"))
    rows = torch.arange(len(encoded.labels))
    inputs, labels = torch.from_numpy(encoded.inputs), torch.from_numpy(encoded.labels)
    return settings, encoded.spec, Samples(inputs, labels, rows)


def cases(model: str, seed: int) -> Iterator[Case]:
    """Split a model's data in two worlds, in each of its ways."""
    settings, spec, rows = everything(model)
    generator = torch.Generator().manual_seed(seed)
    if not isinstance(spec, TableInput):
        rows = rows.take(torch.randperm(len(rows), generator=generator)[:IMAGES])
    for name, old, new in worlds(spec, rows, seed):
        old = old.take(torch.randperm(len(old), generator=generator))
        new = new.take(torch.randperm(len(new), generator=generator))
        part, half = len(old) // 5, len(new) // 2
        held_out, train = (
            old.take(torch.arange(len(old))[chosen])
            for chosen in (slice(0, part), slice(part, None))
        )
        at_hand, judged = (
            new.take(torch.arange(len(new))[chosen])
            for chosen in (slice(0, half), slice(half, None))
        )
        yield Case(model, name, spec, settings, train, held_out, at_hand, judged, seed)


def worlds(spec: InputSpec, rows: Samples, seed: int) -> Iterator[tuple[str, Samples, Samples]]:
    """Give the old and the new world of each case."""
    if not isinstance(spec, TableInput):
        yield from of_images(rows, seed)
        return
    column = {column.name: rows.inputs[:, at] for at, column in enumerate(spec.columns)}
    by: dict[str, Tensor] = {}
    if "AGE" in column:
        education = next(c for c in spec.columns if c.name == "EDUCATION").categories
        by = {
            "AGE 45 and above": column["AGE"] >= 45,
            "LIMIT_BAL 50,000 and below": column["LIMIT_BAL"] <= 50_000,
            "EDUCATION high school": column["EDUCATION"] == education.index("3"),
        }
    else:
        radius = column["mean radius"]
        by = {"mean radius above the median": radius > radius.median()}
    for name, is_new in by.items():
        yield name, rows.take(torch.nonzero(~is_new)[:, 0]), rows.take(torch.nonzero(is_new)[:, 0])
    if "AGE" in column:
        yield "half of them default", *by_class(rows, torch.tensor([0.28, 1.0]), seed)


def of_images(rows: Samples, seed: int) -> Iterator[tuple[str, Samples, Samples]]:
    """Corrupt one half of the images."""
    half = len(rows) // 2
    old, new = rows.take(torch.arange(half)), rows.take(torch.arange(half, 2 * half))
    for name, (corruption, severity) in CHANGES.items():
        shown = corruptions.corrupt(
            corruption, as_floats(new.inputs), severity, np.random.default_rng(seed)
        )
        yield name, old, replace(new, inputs=(shown * 255).round().to(torch.uint8))
    keep = torch.where(torch.arange(10) < 5, 0.1, 1.0)
    yield "digits 0 to 4 a tenth", old, by_class(new, keep, seed)[1]


def by_class(rows: Samples, keep: Tensor, seed: int) -> tuple[Samples, Samples]:
    """Halve rows at random, and keep a share of each class in the second half."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(rows), generator=generator)
    old, new = rows.take(order[: len(order) // 2]), rows.take(order[len(order) // 2 :])
    kept = torch.rand(len(new), generator=generator) < keep[new.labels]
    return old, new.take(torch.nonzero(kept)[:, 0])


def fit(case: Case, corpus: Samples, start: Mapping[str, Tensor] | None = None) -> nn.Module:
    """Train as params.yaml says with fewer epochs, or fine-tune."""
    section, epochs = case.settings.training, EPOCHS[case.model]
    if case.model == "mnist":
        section = section.model_copy(
            update={"defense": Standard(recipe="standard"), "warmup_epochs": 0.0}
        )
    if start is not None:
        slower = section.optimiser.model_copy(update={"rate": SLOWER * section.optimiser.rate})
        section, epochs = section.model_copy(update={"optimiser": slower}), TUNED
    with tempfile.TemporaryDirectory() as folder:
        return training.fit(
            section.model_copy(update={"epochs": epochs}),
            case.spec,
            region.build(case.settings.threat, case.spec),
            corpus,
            case.held_out,
            seed=case.seed,
            device=torch.device("cpu"),
            checkpoint=Path(folder) / "checkpoint.safetensors",
            identity="benchmark",
            start=start,
        ).model.eval()


def logits(model: nn.Module, inputs: Tensor) -> Tensor:
    """Ask a model, batch by batch."""
    with torch.no_grad():
        return torch.cat([model(as_floats(batch)) for batch in torch.split(inputs, BATCH)])


def new_shares(model: nn.Module, case: Case) -> nn.Module:
    """Adjust the answers to the shares of classes that black-box estimation finds."""
    shift = label_shift.estimate(
        logits(model, case.held_out.inputs).argmax(1).numpy(),
        case.held_out.labels.numpy(),
        logits(model, case.new.inputs).argmax(1).numpy(),
        classes=len(case.spec.classes),
        seed=case.seed,
    )
    if shift is None:
        return model
    return priors.adjusted(model, old=torch.from_numpy(shift.old), new=torch.from_numpy(shift.new))


def weighed(_model: nn.Module, case: Case) -> nn.Module:
    """Train again on old rows that look like new ones."""
    weights = importance.weights(
        case.train.inputs, case.new.inputs, rounds=ROUNDS, most=MOST, seed=case.seed
    )
    return fit(case, importance.drawn(case.train, weights, seed=case.seed))


def tuned(model: nn.Module, case: Case) -> nn.Module:
    """Train on with labelled new rows, and as many old ones, lest the old world be forgotten."""
    count = min(LABELLED[case.model], len(case.new))
    parts = case.new.take(torch.arange(count)), case.train.take(torch.arange(count))
    both = Samples(
        torch.cat([part.inputs for part in parts]),
        torch.cat([part.labels for part in parts]),
        torch.cat([part.rows for part in parts]),
    )
    return fit(case, both, start=candidates.state_of(model))


WAYS: dict[str, Callable[[nn.Module, Case], nn.Module]] = {
    "priors": new_shares,
    "standardising": lambda model, case: standardising.renewed(model, case.new.inputs),
    "alignment": lambda model, case: alignment.aligned(
        model, old=case.held_out.inputs, new=case.new.inputs, batch_size=BATCH
    ),
    "importance": weighed,
    "fine-tuning": tuned,
}


def judge(model: nn.Module, rows: Samples) -> Answers:
    """Ask a model about some rows."""
    return Answers(rows.labels.numpy(), logits(model, rows.inputs).softmax(1).double().numpy())


def measured(before: list[Answers], after: list[Answers], *, seed: int) -> dict[str, Any]:
    """Measure a gain over all seeds; rows are resampled, each with all that was said of it."""
    gains = np.concatenate(
        [late.correct - early.correct for early, late in zip(before, after, strict=True)]
    )
    gain = statistics.bootstrap_means(gains[:, None], {"gain": lambda m: m[..., 0]}, seed=seed)[
        "gain"
    ]
    areas = [
        late.auc - early.auc
        for early, late in zip(before, after, strict=True)
        if early.auc is not None and late.auc is not None
    ]
    return {
        "gain": round(gain.value, 4),
        "lower": round(gain.lower, 4),
        "upper": round(gain.upper, 4),
        "auc_gain": round(float(np.mean(areas)), 4) if areas else None,
        "auc_gains": [round(area, 4) for area in areas],
    }


def run(models: list[str], seeds: list[int]) -> list[dict[str, Any]]:
    """Measure every case of every model over the seeds."""
    rows: list[dict[str, Any]] = []
    for model in models:
        found: dict[str, dict[str, list[Answers]]] = {}
        home: dict[str, list[float]] = {}
        seconds: dict[tuple[str, str], float] = {}
        for seed in seeds:
            for case in cases(model, seed):
                plain = fit(case, case.train)
                said = found.setdefault(case.name, {})
                said.setdefault("none", []).append(judge(plain, case.judged))
                home.setdefault(case.name, []).append(judge(plain, case.held_out).correct.mean())
                for name, adapt in WAYS.items():
                    if name == "importance" and not isinstance(case.spec, TableInput):
                        continue
                    started = time.process_time()
                    adapted = adapt(plain, case)
                    spent = time.process_time() - started
                    seconds[case.name, name] = seconds.get((case.name, name), 0.0) + spent
                    said.setdefault(name, []).append(judge(adapted, case.judged))
        for name, said in found.items():
            rows += [show(model, name, said, home[name], seconds, seeds)]
    return rows


def show(
    model: str,
    name: str,
    said: Mapping[str, list[Answers]],
    home: list[float],
    seconds: Mapping[tuple[str, str], float],
    seeds: list[int],
) -> dict[str, Any]:
    """Print one case and give it as JSON."""
    before = said["none"]
    accuracy = float(np.mean(np.concatenate([each.correct for each in before])))
    print(
        f"\n{model}, {name}: accuracy {np.mean(home):.3f} at home, {accuracy:.3f} in the new world"
    )
    ways = {}
    for way, after in said.items():
        if way == "none":
            continue
        ways[way] = measured(before, after, seed=seeds[0]) | {
            "seconds": round(seconds[name, way] / len(seeds), 2)
        }
        one = ways[way]
        area = "" if one["auc_gain"] is None else f"  AUC {one['auc_gain']:+.3f}"
        print(
            f"  {way:14} {one['gain']:+.3f} [{one['lower']:+.3f}, {one['upper']:+.3f}]{area}"
            f"  {one['seconds']:.1f} s",
            flush=True,
        )
    areas = [each.auc for each in before if each.auc is not None]
    return {
        "model": model,
        "case": name,
        "judged": sum(len(each.labels) for each in before),
        "at_home": round(float(np.mean(home)), 4),
        "accuracy": round(accuracy, 4),
        "auc": round(float(np.mean(areas)), 4) if areas else None,
        "ways": ways,
    }


def main() -> None:
    """Run, print a table of gains, and one JSON object last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("models", nargs="*", default=list(EPOCHS))
    parser.add_argument("--quick", action="store_true", help="one seed, under five minutes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = [0] if arguments.quick else [0, 1, 2]
    rows = run(arguments.models, seeds)
    print(json.dumps({"seeds": seeds, "labelled": LABELLED, "cases": rows}))


if __name__ == "__main__":
    main()
