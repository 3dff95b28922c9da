"""Validation: the raw data keep their contract, or the run ends here."""

from __future__ import annotations

from prefect import flow

from hardgate.params import Params
from hardgate.records import DatasetRecord
from tasks import _history, _store, validation


@flow(name="validation", flow_run_name="validation", validate_parameters=False)
def validate(params: Params) -> DatasetRecord:
    """Judge and split the raw data."""
    return _history.once(
        "validation",
        params,
        _store.dataset,
        lambda: validation.validate(params),
    )
