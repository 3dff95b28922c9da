"""Training: fit the architecture with the recipe, inside the threat."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Sequence
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from torch import Tensor

from hardgate import candidates, devices, files, provenance, region, state, training
from hardgate.adaptation import importance
from hardgate.datasets import fresh
from hardgate.monitors import Epoch
from hardgate.params import Params
from hardgate.records import CandidateRecord, CorpusRecord, DatasetRecord
from hardgate.samples import Samples
from tasks import _store, _versions
from tasks._versions import Earlier

COLUMNS = (
    "epoch",
    "loss",
    "rate",
    "eps",
    "seconds",
    "held_out_clean",
    "held_out_robust",
    "train_one_step",
    "held_out_certified",
)


@task(cache_policy=NO_CACHE, persist_result=False)
def train(params: Params, dataset: DatasetRecord, corpus: CorpusRecord) -> CandidateRecord:
    """Train the candidate, going on from a killed run's checkpoint when there is one."""
    directory = _store.fresh(params.model, "training")
    made_from = _store.digest(corpus)
    start = _versions.start(params)
    with devices.threads_for(dataset.input):
        fitted = training.fit(
            params.training,
            dataset.input,
            region.build(params.threat, dataset.input),
            weighed(params, dataset, _store.split(corpus.train)),
            _store.split(dataset.held_out),
            seed=params.seed,
            device=devices.pick(),
            checkpoint=state.room("checkpoints") / f"{params.model}.safetensors",
            identity=provenance.sha256_json([params.digest("training"), made_from]),
            start=None if start is None else _weights(params, dataset, start),
        )
    candidates.save(directory / "model", params.training.architecture, fitted.spec, fitted.model)
    _write_history(fitted.history, directory / "history.csv")
    return _store.keep(
        CandidateRecord(
            model=params.model,
            made_from=made_from,
            start=None if start is None else start.ancestor,
            directory=directory / "model",
            model_sha256=provenance.sha256_tree(directory / "model"),
            architecture=params.training.architecture.name,
            recipe=params.training.defense.recipe,
            weights=candidates.count(fitted.model),
            passes=params.training.defense.passes(len(dataset.input.classes)),
            epochs=fitted.epochs,
            best_epoch=fitted.best_epoch,
            stopped=fitted.stopped,
            seconds=fitted.seconds,
            measurements=dict(fitted.measurements),
            history=_store.file(directory / "history.csv"),
            seed=params.seed,
            params_sha256=params.digest("training"),
            commit=_store.commit(),
        ),
        model=params.model,
        stage="training",
    )


def weighed(params: Params, dataset: DatasetRecord, corpus: Samples) -> Samples:
    """Draw rows that look like new data more often, if that is asked for."""
    settings = params.training.importance
    if settings is None:
        return corpus
    new = fresh.read(params.dataset, settings.new, dataset.input, root=_store.ROOT)
    weights = importance.of_corpus(corpus, new.inputs, settings, seed=params.seed)
    logging.getLogger(__name__).info(
        "training.importance: %s of %s rows count",
        round(importance.effective(weights)),
        len(corpus),
    )
    return importance.drawn(corpus, weights, seed=params.seed)


def _weights(params: Params, dataset: DatasetRecord, start: Earlier) -> dict[str, Tensor]:
    return candidates.inherit(start.directory, params.training.architecture, dataset.input)


def still_starts_there(params: Params, candidate: CandidateRecord) -> bool:
    """Tell whether a finished training began with what it would begin with now."""
    start = _versions.start(params)
    return candidate.start == (None if start is None else start.ancestor)


def _write_history(history: Sequence[Epoch], path: Path) -> None:
    """Write one row per epoch; a score that an epoch was not asked for is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for epoch in history:
        seen = epoch.evaluated
        scores = (seen.clean, seen.robust, seen.one_step, seen.certified) if seen else (None,) * 4
        writer.writerow([epoch.epoch, epoch.loss, epoch.rate, epoch.eps, epoch.seconds, *scores])
    files.write_text(path, stream.getvalue())


if __name__ == "__main__":
    _store.door(lambda p: train.fn(p, _store.dataset(p.model), _store.corpus(p.model)))
