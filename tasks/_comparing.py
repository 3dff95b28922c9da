"""Run the candidates of a comparison, and gather what they are worth: ``hardgate compare MODEL``.

Each candidate is an experiment of DVC, whose name holds a digest of everything it depends on. One
that exists is not run again: a comparison that was stopped goes on, and a candidate that is added
later is measured alone.
"""

from __future__ import annotations

import logging
import shutil
import statistics as averages
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from torch import Tensor, nn

from hardgate import (
    candidates,
    comparison,
    devices,
    fairness,
    files,
    flips,
    gates,
    measurements,
    overrides,
    params_file,
    progress,
    provenance,
    records,
    reporting,
    state,
    statistics,
)
from hardgate import params as settings
from hardgate.comparison import Compared, Comparison, Failed, Metric, Variation
from hardgate.errors import HardgateError, IntegrityError, ParamsError, UnavailableError
from hardgate.params import Params
from hardgate.records import (
    AttributionRecord,
    CandidateRecord,
    CorpusRecord,
    DatasetRecord,
    EvaluationRecord,
    ImageInput,
    InputSpec,
    Measurement,
)
from hardgate.risks.privacy import membership
from hardgate.supply_chain import inspecting
from tasks import _experiments, _store

FOLDER = "compare"
RECORD = "comparison.json"
PAGE = "report.html"
PLOT = "frontier.svg"
TARGETS = ("explanation", "evaluation")  # DVC runs what they depend on
ROUNDS = 30  # times that every network answers a batch


@dataclass(frozen=True)
class Entry:
    """A candidate, its params, and the experiment that it is."""

    variation: Variation
    params: Params
    experiment: str
    changes: list[str]


@dataclass(frozen=True)
class Measured:
    """What an experiment left behind."""

    entry: Entry
    dataset: DatasetRecord
    candidate: CandidateRecord
    found: dict[str, Measurement]
    network: nn.Module


def compare(model: str) -> tuple[Comparison, Path]:
    """Measure every candidate that has not been, and write what came out; give the page as well.

    Raises
    ------
    ParamsError
        If there is no such model or it has no candidates.
    UnavailableError
        If another comparison is under way, or this is no Git repository.
    """
    _experiments.ready()
    overrides.recover(params_file.FILE)
    _entries(model, Path())  # what is wrong is said before the wait
    home = _home(model)
    with (
        state.locked(
            f"compare.{quote(model, safe='')}.lock",
            busy=f"a comparison of {model} is under way",
            advice="wait for it; the last candidate of one that was killed may still be running",
        ) as lock,
        _experiments.copied(_read_by_stages(model), home) as copy,
    ):
        params, basis, entries = _entries(model, copy)
        measured, failed = _measure_all(entries, copy, lock)
        return _conclude(params, basis, measured, failed)


def _home(model: str) -> Path:
    """Name the state folder of a model's comparison: its copy, its logs, its stages' own state."""
    return state.room(f"{FOLDER}/{quote(model, safe='')}")


def _basis(params: Params, root: Path) -> str:
    """Digest what all candidates share: code, data, suite and params, but the policy."""
    plain = records.to_plain(params)
    shared = {key: value for key, value in plain.items() if key != "promotion"}
    return provenance.sha256_json(
        [shared, {place: _digest(root / place) for place in _places(params.model)}]
    )


def _places(model: str) -> tuple[str, ...]:
    return ("hardgate", "tasks", f"expectations/{model}.json", f"data/{model}")


def _read_by_stages(model: str) -> tuple[str, ...]:
    return (*_places(model), "dvc.lock")  # it spares what has been done


def _digest(path: Path) -> str:
    """Digest what Python has not compiled of a file or folder; an absent one is empty."""
    below = sorted(path.rglob("*")) if path.is_dir() else [path]
    read = [file for file in below if file.is_file() and "__pycache__" not in file.parts]
    return provenance.sha256_json(
        {file.relative_to(path).as_posix(): provenance.sha256_file(file) for file in read}
    )


def _entries(model: str, root: Path) -> tuple[Params, str, list[Entry]]:
    """Read a project's params, the digest of what its candidates share, and the candidates."""
    file = root / params_file.FILE
    params = settings.load(model, file)
    if params.compare is None:
        raise ParamsError(
            f"{params_file.FILE}: {params.model}.compare is missing; name two candidates or more, "
            "such as compare: {candidates: [{name: plain, training: {defense: {recipe: standard}}}"
            ", {name: as-it-is}]}"
        )
    there = params_file.section(params_file.parse(params_file.text_of(file)), model)["training"]
    basis = _basis(params, root)
    entries = [
        Entry(
            variation=variation,
            params=params.varied(variation),
            experiment=_name(params.model, variation, basis),
            changes=_experiments.replaced(
                f"{params.model}.training", variation.training, there=there
            ),
        )
        for variation in params.compare.candidates
    ]
    return params, basis, entries


def _name(model: str, variation: Variation, basis: str) -> str:
    digest = provenance.sha256_json([basis, variation.training])
    return f"compare-{quote(model, safe='').replace('%', '_')}-{variation.name}-{digest[:12]}"


def _measure_all(
    entries: list[Entry], copy: Path, lock: int
) -> tuple[list[Measured], tuple[Failed, ...]]:
    """Measure the candidates one after the other: side by side, their times would mean nothing."""
    measured, failed = [], []
    for at, entry in enumerate(entries, start=1):
        revision = _experiments.find(entry.experiment)
        said = f"{entry.variation.name} ({at} of {len(entries)})"
        progress.enter(said, reused=revision is not None)
        try:
            measured.append(_read(entry, revision or _run(entry, copy, lock)))
        except HardgateError as error:  # the others may well be measured
            logging.getLogger(__name__).warning("%s: %s", entry.variation.name, error)
            failed.append(Failed(name=entry.variation.name, reason=str(error)))
    return measured, tuple(failed)


def _run(entry: Entry, copy: Path, lock: int) -> str:
    return _experiments.run(
        entry.experiment,
        entry.changes,
        stages=[f"{stage}@{entry.params.model}" for stage in TARGETS],
        places=_read_by_stages(entry.params.model),
        copy=copy,
        home=_home(entry.params.model),
        inherited=lock,
    )


def _read(entry: Entry, revision: str) -> Measured:
    """Fetch from DVC's cache what an experiment made, once its records are about these params."""
    with _fetched(entry.params.model, revision) as folder:
        dataset = records.read(DatasetRecord, folder / "validation" / _store.RECORD)
        corpus = records.read(CorpusRecord, folder / "augmentation" / _store.RECORD)
        candidate = records.read(CandidateRecord, folder / "training" / _store.RECORD)
        attributions = records.read(AttributionRecord, folder / "explanation" / _store.RECORD)
        evaluation = records.read(EvaluationRecord, folder / "evaluation" / _store.RECORD)
        network = candidates.load(folder / "training" / "model", torch.device("cpu"))
        carried = inspecting.measure(folder / "training" / "model", root=_store.ROOT)
    made_under = {
        "validation": dataset.params_sha256,
        "augmentation": corpus.params_sha256,
        "training": candidate.params_sha256,
        "explanation": attributions.params_sha256,
        "evaluation": evaluation.params_sha256,
    }
    for stage, digest in made_under.items():
        if digest != entry.params.digest(stage):
            raise IntegrityError(
                f"{stage} of {entry.experiment} was made under other params; run dvc exp remove "
                f"{entry.experiment}, then compare again"
            )
    found = {
        **dataset.measurements,
        **candidate.measurements,
        **attributions.measurements,
        **evaluation.measurements,
        **carried,
    }
    return Measured(entry, dataset, candidate, found | _alone(found), network)


def _alone(found: Mapping[str, Measurement]) -> dict[str, Measurement]:
    """Say what promotion would of a first version, with no champion and none before it."""
    clean = found[measurements.clean("accuracy")]
    attacked = found.get(measurements.robust(measurements.WORST_CASE, "accuracy"))
    nothing = statistics.exact(0.0, 1)
    return {
        measurements.CHAMPION_EXISTS: nothing,
        measurements.VERSIONS_BEFORE: nothing,
        **flips.nobody(clean.samples, attacked.samples if attacked else 0),
    }


@contextmanager
def _fetched(model: str, revision: str) -> Iterator[Path]:
    """Put an experiment's records and network into a folder for the length of the block."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    folder = _home(model) / "fetched"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        experiment = DVCFileSystem(".", rev=revision)
        for part in ("training/model", *(f"{stage}/{_store.RECORD}" for stage in _stages())):
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            experiment.get(f"runs/{model}/{part}", str(folder / part), recursive=True)
        yield folder
    except (DvcException, FileNotFoundError) as error:
        raise UnavailableError(
            f"DVC no longer has what experiment {revision[:12]} made: {error}; run dvc exp remove "
            "on it, then compare again"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stages() -> tuple[str, ...]:
    return tuple(stage for stage in _store.STAGES if stage != "promotion")


def _conclude(
    params: Params, basis: str, measured: list[Measured], failed: tuple[Failed, ...]
) -> tuple[Comparison, Path]:
    metric = _metric(params)
    times = _microseconds(params, measured)
    compared = tuple(_row(one, metric, times[one.entry.experiment]) for one in measured)
    found = Comparison(
        model=params.model,
        metric=metric,
        eps=params.threat.eps,
        norm=params.threat.norm,
        basis=basis,
        commit=_store.commit(),
        compared_at=datetime.now(UTC).replace(microsecond=0).isoformat(),
        candidates=compared,
        failed=failed,
        frontier=comparison.frontier(compared),
    )
    folder = _store.directory(params.model, FOLDER)
    records.write(found, folder / RECORD)
    files.write_text(folder / PLOT, reporting.draw_frontier(found))
    files.write_text(folder / PAGE, reporting.render_comparison(found))
    return found, folder / PAGE


def _metric(params: Params) -> Metric:
    """Compare by what the policy asks of clean inputs; accuracy, if it asks nothing of them."""
    asked: list[Any] = [gate for gate in params.promotion.gates if gate.kind == "clean_quality"]
    metric: Metric = asked[0].metric if asked else "accuracy"
    return metric


def _row(one: Measured, metric: Metric, microseconds: float) -> Compared:
    params, candidate = one.entry.params, one.candidate
    return Compared(
        name=one.entry.variation.name,
        experiment=one.entry.experiment,
        changes=tuple(sorted(one.entry.variation.training)),
        architecture=candidate.architecture,
        recipe=candidate.recipe,
        weights=candidate.weights,
        passes=params.training.defense.passes(len(one.dataset.input.classes)),
        epochs=candidate.epochs,
        seconds=candidate.seconds,
        microseconds=microseconds,
        clean=one.found[measurements.clean(metric)],
        robust=one.found[measurements.robust(measurements.WORST_CASE, metric)],
        certified=one.found.get(measurements.CERTIFIED_ACCURACY),
        unequal=fairness.widest(one.found),
        epsilon=one.found.get(measurements.EPSILON),
        delta=one.found.get(measurements.DELTA),
        membership=membership.strongest(one.found, "auc"),
        named=membership.strongest(one.found, "tpr_at_1_percent"),
        findings=gates.decide(params.promotion.gates, one.found),
    )


def _microseconds(params: Params, measured: list[Measured]) -> dict[str, float]:
    """Time one sample of a batch per experiment, in turns, so that a busy moment is everyone's.

    Networks of one architecture answer in the same time, whatever they were taught: they share one
    number, the median over all of theirs, or noise would put one before the other.
    """
    batch = params.evaluation.batch_size
    taken: dict[str, list[float]] = {}
    with devices.one_thread(), torch.no_grad():
        for round_ in range(ROUNDS + 1):
            for one in measured:
                inputs = _inputs(one.dataset.input, batch)
                started = time.perf_counter()
                one.network(inputs)
                seconds = time.perf_counter() - started
                if round_:  # the first warms up
                    taken.setdefault(_shape(one), []).append(seconds)
    return {
        one.entry.experiment: 1e6 * averages.median(taken[_shape(one)]) / batch for one in measured
    }


def _shape(one: Measured) -> str:
    return provenance.sha256_json(records.to_plain(one.entry.params.training.architecture))


def _inputs(spec: InputSpec, rows: int) -> Tensor:
    """Make inputs that a network can answer; what they show makes no difference to the time."""
    if isinstance(spec, ImageInput):
        return torch.full((rows, *spec.shape), 0.5)
    return torch.tensor([[column.mean for column in spec.columns]]).repeat(rows, 1)
