"""Evaluation: every measurement is one probe, and the probes do not need each other."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from torch import Tensor

from hardgate import (
    candidates,
    devices,
    files,
    measurements,
    probes,
    provenance,
    records,
    region,
    state,
    tensors,
)
from hardgate.datasets import fresh
from hardgate.evidence import outcomes, spotcheck
from hardgate.params import Params
from hardgate.probes import Found, Origin, Probe, Subject
from hardgate.records import (
    CandidateRecord,
    DatasetRecord,
    EvaluationRecord,
    FileRecord,
    Measurement,
    Record,
)
from tasks import _store

STAGE = "evaluation"
WORKERS = max(1, min(4, os.cpu_count() or 1))


class Part(Record):
    """What one probe found; its files hold what the model said, and to which inputs."""

    probe: Probe
    measurements: dict[str, Measurement]
    answers: FileRecord | None  # safetensors with probabilities
    attacked: FileRecord | None
    proven: FileRecord | None  # safetensors with one bool per sample
    seconds: float


def plan(params: Params, dataset: DatasetRecord) -> tuple[Probe, ...]:
    """List the probes, and empty the stage's folder for them."""
    planned = probes.plan(params.evaluation, dataset.input, params.threat)
    _store.fresh(params.model, STAGE)
    return planned


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="{probe.name}")
def measure(
    params: Params, probe: Probe, dataset: DatasetRecord, candidate: CandidateRecord
) -> Part:
    """Make one measurement, and keep what the model said."""
    started = time.monotonic()
    about = subject(params, dataset, candidate)
    # One thread each leaves the other cores to the other probes, and sums do not depend on them.
    with devices.one_thread():
        found = probes.measure(
            probe,
            params.evaluation,
            about,
            origin(
                params,
                candidate,
                attempt=_attempt(params, probe),
                results=_store.directory(params.model, STAGE),
            ),
        )
    return Part(
        probe=probe,
        measurements=found.measurements,
        answers=_keep_answers(params, probe, found),
        attacked=_keep_attacked(params, probe, about, found),
        proven=_keep_proven(params, found),
        seconds=time.monotonic() - started,
    )


def _attempt(params: Params, probe: Probe) -> int:
    """Count which version of the model this would become; only gate mode needs to know."""
    if probe.kind != "sequential":
        return 1
    from tasks import _registry  # MLflow takes seconds to import

    return _registry.versions(params.model) + 1


@task(cache_policy=NO_CACHE, persist_result=False)
def conclude(
    params: Params, dataset: DatasetRecord, candidate: CandidateRecord, parts: tuple[Part, ...]
) -> EvaluationRecord:
    """Put the outcomes of all probes together, sample by sample, and count."""
    directory = _store.directory(params.model, STAGE)
    about = subject(params, dataset, candidate)
    found = {part.probe.name: _found(part) for part in parts}
    gathered = probes.gather(about, found)
    stored = outcomes.write(gathered, directory / "outcomes.jsonl")
    measured = probes.conclude(params.evaluation, about, gathered, found)
    _write_curve(params, measured, directory / "curve.csv")
    _write_queries(params, measured, directory / "queries.csv")
    metrics = provenance.canonical_json(records.values(measured))
    files.write_bytes(directory / "metrics.json", metrics)
    return _store.keep(
        EvaluationRecord(
            model=params.model,
            made_from=_store.digest(candidate),
            test_sha256=dataset.test.sha256,
            threat_sha256=provenance.sha256_json(records.to_plain(params.threat)),
            measurements=measured,
            outcomes=_store.file(directory / "outcomes.jsonl"),
            merkle_root=stored.tree.root.hex(),
            adversarial={p.probe.name: p.attacked for p in parts if p.attacked is not None},
            seconds={part.probe.name: part.seconds for part in parts},
            seed=params.seed,
            params_sha256=params.digest(STAGE),
            commit=_store.commit(),
        ),
        model=params.model,
        stage=STAGE,
    )


def subject(params: Params, dataset: DatasetRecord, candidate: CandidateRecord) -> Subject:
    """Gather what every probe stands on."""
    device, test = devices.pick(), _store.split(dataset.test)
    return Subject(
        model=candidates.load(candidate.directory, device),
        spec=dataset.input,
        threat=params.threat,
        region=region.build(params.threat, dataset.input),
        train=_store.split(dataset.train),
        held_out=_store.split(dataset.held_out),
        test=test,
        attacked=probes.choose(test, params.evaluation.samples, seed=params.seed),
        batch_size=params.evaluation.batch_size,
        device=device,
        seed=params.seed,
    )


def origin(
    params: Params, candidate: CandidateRecord, *, attempt: int, results: Path | None = None
) -> Origin:
    """Say how the candidate came about; files are read when asked for."""
    scratch = state.room("checkpoints") / f"{params.model}.beside"
    scratch.mkdir(exist_ok=True)
    return Origin(
        training=params.training,
        directory=candidate.directory,
        scratch=scratch,
        raw=lambda: params.dataset.load(_store.ROOT, cache=state.room("data")),
        corpus=lambda: _store.split(_store.corpus(params.model).train),
        attempt=attempt,
        fresh=lambda path, spec: fresh.read(params.dataset, path, spec, root=_store.ROOT),
        results=results,
    )


def _keep_answers(params: Params, probe: Probe, found: Found) -> FileRecord | None:
    if found.probabilities is None:
        return None
    path = _store.directory(params.model, STAGE) / "answers" / f"{probe.name}.safetensors"
    tensors.write(
        {"probabilities": found.probabilities}, path, recipients=params.dataset.encrypt_to
    )
    return _store.file(path)


def _keep_attacked(
    params: Params, probe: Probe, subject: Subject, found: Found
) -> FileRecord | None:
    if found.inputs is None:
        return None
    path = _store.directory(params.model, STAGE) / "attacked" / f"{probe.name}.safetensors"
    spotcheck.write_attacked(
        path,
        index=subject.attacked,
        inputs=found.inputs,
        recipients=params.dataset.encrypt_to,
    )
    return _store.file(path)


def _keep_proven(params: Params, found: Found) -> FileRecord | None:
    if found.proven is None:
        return None
    path = _store.directory(params.model, STAGE) / "proven.safetensors"
    tensors.write({"proven": found.proven}, path, recipients=params.dataset.encrypt_to)
    return _store.file(path)


def _found(part: Part) -> Found:
    """Read back what a probe kept."""
    return Found(
        part.measurements,
        probabilities=_tensor(part.answers, "probabilities"),
        inputs=_tensor(part.attacked, "inputs"),
        proven=_tensor(part.proven, "proven"),
    )


def _tensor(kept: FileRecord | None, name: str) -> Tensor | None:
    return None if kept is None else tensors.read(kept.path)[name]


def _write_curve(params: Params, found: Mapping[str, Measurement], path: Path) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["eps", "robust_accuracy", "lower", "upper"])
    for factor in sorted(params.evaluation.curve.factors):
        point = found[measurements.curve(factor)]
        writer.writerow([factor * params.threat.eps, point.value, point.lower, point.upper])
    files.write_text(path, stream.getvalue())


def _write_queries(params: Params, found: Mapping[str, Measurement], path: Path) -> None:
    """Write the query curves, if they were asked for."""
    section = params.evaluation.queries
    if section is None:
        return
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["attack", "needs", "queries", "accuracy", "lower", "upper"])
    for attack in section.attacks:
        for count in section.counts:
            point = found[measurements.queries(attack.name, count)]
            numbers = (point.value, point.lower, point.upper)
            writer.writerow([attack.name, attack.needs, count, *numbers])
    files.write_text(path, stream.getvalue())


def evaluate(
    params: Params, dataset: DatasetRecord, candidate: CandidateRecord
) -> EvaluationRecord:
    """Do without Prefect what the flow does: all probes side by side, then the conclusion."""
    planned = plan(params, dataset)
    with ThreadPoolExecutor(WORKERS) as pool:
        parts = pool.map(lambda probe: measure.fn(params, probe, dataset, candidate), planned)
        return conclude.fn(params, dataset, candidate, tuple(parts))


if __name__ == "__main__":
    _store.door(lambda p: evaluate(p, _store.dataset(p.model), _store.candidate(p.model)))
