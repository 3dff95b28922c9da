"""Evaluation: what the candidate is worth, clean, attacked, corrupted and between groups.

The measurements do not need each other, so they run side by side, one thread of arithmetic each.
"""

from __future__ import annotations

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from hardgate.params import Params
from hardgate.records import CandidateRecord, DatasetRecord, EvaluationRecord
from tasks import _history, _store, evaluation


@flow(
    name="evaluation",
    flow_run_name="evaluation",
    validate_parameters=False,
    task_runner=ThreadPoolTaskRunner(max_workers=evaluation.WORKERS),  # type: ignore[arg-type]
)
def evaluate(
    params: Params, dataset: DatasetRecord, candidate: CandidateRecord
) -> EvaluationRecord:
    """Measure the candidate on the test split."""
    return _history.once(
        "evaluation",
        params,
        _store.evaluation,
        lambda: measure(params, dataset, candidate),
    )


def measure(params: Params, dataset: DatasetRecord, candidate: CandidateRecord) -> EvaluationRecord:
    """Submit every probe, wait for all, conclude."""
    probes = evaluation.plan(params, dataset)
    futures = [evaluation.measure.submit(params, probe, dataset, candidate) for probe in probes]
    parts = tuple(future.result() for future in futures)
    return evaluation.conclude(params, dataset, candidate, parts)
