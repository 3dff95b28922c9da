"""Augmentation: the training split and what is made from it, and from nothing else."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE
from torch import nn

from hardgate import augmentations, candidates, devices, region, samples
from hardgate.params import Params
from hardgate.records import CorpusRecord, DatasetRecord
from tasks import _store, _versions
from tasks._versions import Earlier


@task(cache_policy=NO_CACHE, persist_result=False)
def augment(params: Params, dataset: DatasetRecord) -> CorpusRecord:
    """Add samples to the training split; count what was added, and what was dropped and why."""
    directory = _store.fresh(params.model, "augmentation")
    original = _store.split(dataset.train)
    earlier = _versions.lineage(params.model, params.augmentation.versions)
    with devices.threads_for(dataset.input):
        corpus, tallies = augmentations.augment(
            params.augmentation,
            original,
            spec=dataset.input,
            threat=params.threat,
            region=region.build(params.threat, dataset.input),
            device=devices.pick(),
            seed=params.seed,
            earlier=_models(dataset, earlier),
        )
    return _store.keep(
        CorpusRecord(
            model=params.model,
            made_from=_store.digest(dataset),
            train=samples.write(
                corpus,
                directory / "train.safetensors",
                root=_store.ROOT,
                classes=len(dataset.input.classes),
                recipients=params.dataset.encrypt_to,
            ),
            original_samples=len(original),
            tallies=tallies,
            earlier=tuple(each.ancestor for each in earlier),
            seed=params.seed,
            params_sha256=params.digest("augmentation"),
            commit=_store.commit(),
        ),
        model=params.model,
        stage="augmentation",
    )


def _models(dataset: DatasetRecord, earlier: Sequence[Earlier]) -> list[nn.Module]:
    """Load the versions that take today's inputs; an attack on another would make no sense."""
    models = []
    for each in earlier:
        if candidates.reads(candidates.read_spec(each.directory)) == candidates.reads(
            dataset.input
        ):
            models.append(candidates.load(each.directory, devices.pick()))
        else:
            logging.getLogger(__name__).warning(
                "version %s takes other inputs than today's; nothing is made against it",
                each.ancestor.version,
            )
    return models


def same_lineage(params: Params, corpus: CorpusRecord) -> bool:
    """Tell whether a finished augmentation asked the versions that it would ask now."""
    earlier = _versions.lineage(params.model, params.augmentation.versions)
    return corpus.earlier == tuple(each.ancestor for each in earlier)


if __name__ == "__main__":
    _store.door(lambda params: augment.fn(params, _store.dataset(params.model)))
