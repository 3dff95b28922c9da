"""Augmentation: more of the training split, diverse, adversarial and generated."""

from __future__ import annotations

from prefect import flow

from hardgate.params import Params
from hardgate.records import CorpusRecord, DatasetRecord
from tasks import _history, _store, augmentation


@flow(name="augmentation", flow_run_name="augmentation", validate_parameters=False)
def augment(params: Params, dataset: DatasetRecord) -> CorpusRecord:
    """Add samples to the training split."""
    return _history.once(
        "augmentation",
        params,
        _store.corpus,
        lambda: augmentation.augment(params, dataset),
        holds=lambda made: augmentation.same_lineage(params, made),
    )
