"""Training: a candidate, fitted with the robust recipe."""

from __future__ import annotations

from prefect import flow

from hardgate.params import Params
from hardgate.records import CandidateRecord, CorpusRecord, DatasetRecord
from tasks import _history, _store, training


@flow(name="training", flow_run_name="training", validate_parameters=False)
def train(params: Params, dataset: DatasetRecord, corpus: CorpusRecord) -> CandidateRecord:
    """Train the candidate."""
    return _history.once(
        "training",
        params,
        _store.candidate,
        lambda: training.train(params, dataset, corpus),
        holds=lambda made: training.still_starts_there(params, made),
    )
