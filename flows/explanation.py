"""Explanation: why the candidate decides as it does."""

from __future__ import annotations

from prefect import flow

from hardgate.params import Params
from hardgate.records import AttributionRecord, CandidateRecord, DatasetRecord
from tasks import _history, _store, explanation


@flow(name="explanation", flow_run_name="explanation", validate_parameters=False)
def explain(
    params: Params, dataset: DatasetRecord, candidate: CandidateRecord
) -> AttributionRecord:
    """Explain the candidate."""
    return _history.once(
        "explanation",
        params,
        _store.attributions,
        lambda: explanation.explain(params, dataset, candidate),
    )
