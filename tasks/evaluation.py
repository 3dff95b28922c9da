"""Evaluation: every measurement is one probe, and the probes do not need each other."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from prefect import task
from prefect.cache_policies import NO_CACHE
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hardgate import (
    candidates,
    corruptions,
    devices,
    diagnostics,
    fairness,
    measurements,
    progress,
    provenance,
    quality,
    records,
    region,
    robustness,
    samples,
    state,
    statistics,
    training,
)
from hardgate.attacks import Attack
from hardgate.defenses import Standard
from hardgate.evidence import outcomes, recomputation, spotcheck
from hardgate.evidence.outcomes import Answers, Outcomes
from hardgate.params import Params
from hardgate.records import (
    CandidateRecord,
    DatasetRecord,
    EvaluationRecord,
    FileRecord,
    Measurement,
    Record,
    TableInput,
)
from hardgate.samples import Samples
from tasks import _store

STAGE = "evaluation"
WORKERS = max(1, min(4, os.cpu_count() or 1))
CLEAN = "clean"

Kind = Literal["clean", "attack", "curve", "corruptions", "diagnostics", "price"]


class Probe(Record):
    """One measurement to make: its kind, and which attack for attacks."""

    kind: Kind
    name: str


class Part(Record):
    """What one probe found; ``answers`` is a safetensors file of what the model said."""

    probe: Probe
    measurements: dict[str, Measurement]
    answers: FileRecord | None
    seconds: float


class Ground(NamedTuple):
    """What every probe stands on."""

    model: nn.Module
    test: Samples
    attacked: Tensor  # positions in the test split
    device: torch.device


def plan(params: Params, dataset: DatasetRecord) -> tuple[Probe, ...]:
    """List the probes, longest first, after checking that each fits the data.

    Raises
    ------
    ParamsError
        If an attack or the fairness section does not; names the key.
    """
    evaluation, spec = params.evaluation, dataset.input
    for attack in (*evaluation.attacks, evaluation.curve.attack):
        attack.check(spec, params.threat)
    diagnostics.check(evaluation.attacks)
    attacks = [Probe(kind="attack", name=attack.name) for attack in reversed(evaluation.attacks)]
    rest: list[Kind] = ["price", "diagnostics", "curve"]
    if evaluation.corruptions is not None:
        rest.append("corruptions")
    if evaluation.fairness is not None and isinstance(spec, TableInput):
        evaluation.fairness.check(spec)
    return (
        *attacks,
        *(Probe(kind=kind, name=kind) for kind in rest),
        Probe(kind="clean", name=CLEAN),
    )


def begin(params: Params) -> Path:
    """Empty the stage's folder before the first probe."""
    return _store.fresh(params.model, STAGE)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="{probe.name}")
def measure(
    params: Params, probe: Probe, dataset: DatasetRecord, candidate: CandidateRecord
) -> Part:
    """Make one measurement."""
    started = time.monotonic()
    ground = _ground(params, dataset, candidate)
    answers: FileRecord | None = None
    with _one_thread():
        match probe.kind:
            case "clean":
                found, answers = _clean(params, ground)
            case "attack":
                found, answers = {}, _attack(params, probe.name, dataset, ground)
            case "curve":
                found = _curve(params, dataset, ground)
            case "corruptions":
                found = _corruptions(params, ground)
            case "diagnostics":
                found = _diagnostics(params, dataset, ground)
            case "price":
                found = _price(params, dataset, ground)
    return Part(
        probe=probe,
        measurements=found,
        answers=answers,
        seconds=time.monotonic() - started,
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Leave the other cores to the other probes; also makes sums independent of their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _ground(params: Params, dataset: DatasetRecord, candidate: CandidateRecord) -> Ground:
    device = devices.pick()
    test = _store.split(dataset.test)
    chosen = np.random.default_rng(params.seed).permutation(len(test))[: params.evaluation.samples]
    return Ground(
        candidates.load(candidate.directory, device),
        test,
        torch.from_numpy(np.sort(chosen)),
        device,
    )


def _clean(params: Params, ground: Ground) -> tuple[dict[str, Measurement], FileRecord]:
    probabilities = _predict(params, ground, ground.test.inputs)
    found = quality.measure(
        ground.test.labels.numpy(), probabilities.double().numpy(), seed=params.seed
    )
    return (
        {measurements.clean(metric): value for metric, value in found.items()},
        _keep(params, CLEAN, {"probabilities": probabilities}),
    )


def _predict(params: Params, ground: Ground, inputs: Tensor) -> Tensor:
    """Give probabilities, shape ``(n, k)``; uint8 images are scaled batch by batch."""
    size = params.evaluation.batch_size
    with torch.no_grad():
        logits = [
            ground.model(samples.as_floats(inputs[at : at + size]).to(ground.device)).cpu()
            for at in range(0, len(inputs), size)
        ]
    return torch.softmax(torch.cat(logits), dim=1)


def _attack(params: Params, name: str, dataset: DatasetRecord, ground: Ground) -> FileRecord:
    """Attack, and keep the inputs found; what they say is counted when all is gathered."""
    attack = next(attack for attack in params.evaluation.attacks if attack.name == name)
    found = _run(params, attack, dataset, ground, ground.attacked)
    path = _store.directory(params.model, STAGE) / "attacked" / f"{name}.safetensors"
    spotcheck.write_attacked(path, index=ground.attacked, inputs=found.adversarial)
    return _keep(params, name, {"probabilities": found.probabilities})


def _run(
    params: Params, attack: Attack, dataset: DatasetRecord, ground: Ground, index: Tensor
) -> robustness.Outcome:
    chosen = ground.test.take(index)
    return robustness.measure(
        attack,
        params.threat,
        region.build(params.threat, dataset.input),
        ground.model,
        chosen.floats().to(ground.device),
        chosen.labels.to(ground.device),
        seed=params.seed,
        batch_size=params.evaluation.batch_size,
        attack_all=dataset.input.kind == "table",
    )


def _curve(params: Params, dataset: DatasetRecord, ground: Ground) -> dict[str, Measurement]:
    curve = params.evaluation.curve
    chosen = ground.test.take(ground.attacked[: curve.samples])
    return robustness.security_curve(
        curve.attack,
        params.threat,
        region.build(params.threat, dataset.input),
        ground.model,
        chosen.floats().to(ground.device),
        chosen.labels.to(ground.device),
        factors=curve.factors,
        seed=params.seed,
        batch_size=params.evaluation.batch_size,
    )


def _corruptions(params: Params, ground: Ground) -> dict[str, Measurement]:
    sweep = params.evaluation.corruptions
    if sweep is None:
        return {}
    chosen = ground.test.take(ground.attacked[: sweep.samples])
    images, labels = chosen.floats(), chosen.labels.numpy()
    correct: dict[tuple[str, int], NDArray[np.bool_]] = {}
    for name in progress.track(corruptions.NAMES, "corruptions"):
        for severity in sweep.severities:
            generator = np.random.default_rng(params.seed)
            corrupted = corruptions.corrupt(name, images, severity, generator)
            predicted = _predict(params, ground, corrupted).argmax(1).numpy()
            correct[name, severity] = predicted == labels
    clean = _predict(params, ground, images).argmax(1).numpy() == labels
    return quality.corruption(clean, correct, seed=params.seed)


def _diagnostics(params: Params, dataset: DatasetRecord, ground: Ground) -> dict[str, Measurement]:
    chosen = ground.test.take(ground.attacked[: params.evaluation.diagnostics])
    return diagnostics.measure(
        params.evaluation.attacks,
        params.threat,
        region.build(params.threat, dataset.input),
        ground.model,
        chosen.floats().to(ground.device),
        chosen.labels.to(ground.device),
        seed=params.seed,
        batch_size=params.evaluation.batch_size,
    )


def _price(params: Params, dataset: DatasetRecord, ground: Ground) -> dict[str, Measurement]:
    """Train the candidate's twin without defence or augmentation, and measure it alike."""
    section = params.training.model_copy(
        update={"defense": Standard(recipe="standard"), "warmup_epochs": 0.0}
    )
    fitted = training.fit(
        section,
        dataset.input,
        region.build(params.threat, dataset.input),
        _store.split(dataset.train),
        _store.split(dataset.held_out),
        seed=params.seed,
        device=ground.device,
        checkpoint=state.room("checkpoints") / f"{params.model}.undefended.safetensors",
        identity=_store.digest(dataset),
    )
    twin = ground._replace(model=fitted.model)
    labels = ground.test.labels.numpy()
    clean = _predict(params, twin, ground.test.inputs).double().numpy()
    index = ground.attacked[: params.evaluation.price]
    attack = diagnostics.gradient_attack(params.evaluation.attacks)
    robust = _run(params, attack, dataset, twin, index)
    attacked = robust.probabilities.double().numpy()
    found = {
        measurements.price("clean_accuracy"): quality.accuracy(labels, clean),
        measurements.price("robust_accuracy"): statistics.share(robust.survives.numpy()),
        measurements.price("seconds"): statistics.exact(fitted.seconds, dataset.train.samples),
    }
    if len(dataset.input.classes) == 2:
        found[measurements.price("clean_auc")] = quality.auc(labels, clean)
        found[measurements.price("robust_auc")] = quality.auc(labels[index.numpy()], attacked)
    return found


def _keep(params: Params, name: str, tensors: Mapping[str, Tensor]) -> FileRecord:
    path = _store.directory(params.model, STAGE) / "answers" / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    return _store.file(path)


@task(cache_policy=NO_CACHE, persist_result=False)
def conclude(
    params: Params, dataset: DatasetRecord, candidate: CandidateRecord, parts: tuple[Part, ...]
) -> EvaluationRecord:
    """Put the outcomes of all probes together, sample by sample, and count."""
    directory = _store.directory(params.model, STAGE)
    gathered = _gather(params, dataset, parts)
    stored = outcomes.write(gathered, directory / "outcomes.jsonl")
    # The outcomes have the last word on every number that can be made again from them.
    found = {name: value for part in parts for name, value in part.measurements.items()}
    found |= recomputation.recompute(gathered, classes=len(dataset.input.classes))
    found |= _fairness(params, dataset, gathered)
    _write_curve(params, found, directory / "curve.csv")
    records.write_bytes(
        directory / "metrics.json", provenance.canonical_json(records.values(found))
    )
    attacked = {
        name: _store.file(directory / "attacked" / f"{name}.safetensors")
        for name in gathered.attacks
    }
    return _store.keep(
        EvaluationRecord(
            model=params.model,
            made_from=_store.digest(candidate),
            test_sha256=dataset.test.sha256,
            threat_sha256=provenance.sha256_json(records.to_plain(params.threat)),
            measurements=found,
            outcomes=_store.file(directory / "outcomes.jsonl"),
            merkle_root=stored.tree.root.hex(),
            adversarial=attacked,
            plots=(),
            seconds={part.probe.name: part.seconds for part in parts},
            seed=params.seed,
            params_sha256=params.digest(STAGE),
            commit=_store.commit(),
        ),
        model=params.model,
        stage=STAGE,
    )


def _gather(params: Params, dataset: DatasetRecord, parts: tuple[Part, ...]) -> Outcomes:
    """Read back what the model said to every sample, clean and attacked."""
    test = _store.split(dataset.test)
    labels = test.labels.numpy()
    probabilities = {part.probe.name: _answers(part) for part in parts if part.answers is not None}
    clean = probabilities.pop(CLEAN)
    attacks: dict[str, Answers] = {}
    for name, said in probabilities.items():
        path = _store.directory(params.model, STAGE) / "attacked" / f"{name}.safetensors"
        tensors = load_file(path)
        known = np.zeros(len(labels), bool)
        known[tensors["index"].numpy()] = True
        attacks[name] = outcomes.answers(
            tensors["inputs"].numpy(),
            predictions=said.argmax(axis=1),
            probabilities=said,
            labels=labels,
            known=known,
        )
    return Outcomes(
        index=np.arange(len(labels), dtype=np.int64),
        rows=test.rows.numpy(),
        labels=labels,
        clean=outcomes.answers(
            test.floats().numpy(),
            predictions=clean.argmax(axis=1),
            probabilities=clean,
            labels=labels,
        ),
        attacks=dict(sorted(attacks.items())),
    )


def _answers(part: Part) -> NDArray[np.float32]:
    if part.answers is None:
        return np.zeros((0, 0), np.float32)
    said: NDArray[np.float32] = load_file(part.answers.path)["probabilities"].numpy()
    return said


def _fairness(params: Params, dataset: DatasetRecord, gathered: Outcomes) -> dict[str, Measurement]:
    """Compare groups on clean inputs, and under the attack that costs most accuracy."""
    section, spec = params.evaluation.fairness, dataset.input
    if section is None or not isinstance(spec, TableInput):
        return {}
    test = _store.split(dataset.test)
    inputs = test.floats().numpy()
    found = fairness.measure(
        section,
        spec,
        inputs,
        labels=gathered.labels,
        predictions=gathered.clean.predictions,
        situation="clean",
        seed=params.seed,
    )
    known = np.logical_and.reduce([attack.known for attack in gathered.attacks.values()])
    return found | fairness.measure(
        section,
        spec,
        inputs[known],
        labels=gathered.labels[known],
        predictions=_worst(gathered)[known],
        situation="under_attack",
        seed=params.seed,
    )


def _worst(gathered: Outcomes) -> NDArray[np.int64]:
    """Give each sample's prediction under the attack that leaves its class the least."""
    attacks = list(gathered.attacks.values())
    least = np.argmin([attack.probabilities for attack in attacks], axis=0)
    predictions = np.stack([attack.predictions for attack in attacks])
    worst: NDArray[np.int64] = predictions[least, np.arange(predictions.shape[1])]
    return worst


def _write_curve(params: Params, found: Mapping[str, Measurement], path: Path) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["eps", "robust_accuracy", "lower", "upper"])
    for factor in sorted(params.evaluation.curve.factors):
        point = found[measurements.curve(factor)]
        writer.writerow([factor * params.threat.eps, point.value, point.lower, point.upper])
    records.write_text(path, stream.getvalue())


def evaluate(
    params: Params, dataset: DatasetRecord, candidate: CandidateRecord
) -> EvaluationRecord:
    """Do without Prefect what the flow does: all probes side by side, then the conclusion."""
    probes = plan(params, dataset)
    begin(params)
    with ThreadPoolExecutor(WORKERS) as pool:
        parts = pool.map(lambda probe: measure.fn(params, probe, dataset, candidate), probes)
        return conclude.fn(params, dataset, candidate, tuple(parts))


if __name__ == "__main__":
    _store.door(lambda p: evaluate(p, _store.dataset(p.model), _store.candidate(p.model)))
