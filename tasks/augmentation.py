"""Augmentation: the training split and what is made from it, and from nothing else."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from hardgate import augmentations, devices, region, samples
from hardgate.params import Params
from hardgate.records import CorpusRecord, DatasetRecord
from tasks import _store


@task(cache_policy=NO_CACHE, persist_result=False)
def augment(params: Params, dataset: DatasetRecord) -> CorpusRecord:
    """Add samples to the training split; count what was added, and what was dropped and why."""
    directory = _store.fresh(params.model, "augmentation")
    original = _store.split(dataset.train)
    with devices.threads_for(dataset.input):
        corpus, tallies = augmentations.augment(
            params.augmentation,
            original,
            spec=dataset.input,
            threat=params.threat,
            region=region.build(params.threat, dataset.input),
            device=devices.pick(),
            seed=params.seed,
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
            ),
            original_samples=len(original),
            tallies=tallies,
            seed=params.seed,
            params_sha256=params.digest("augmentation"),
            commit=_store.commit(),
        ),
        model=params.model,
        stage="augmentation",
    )


if __name__ == "__main__":
    _store.door(lambda params: augment.fn(params, _store.dataset(params.model)))
