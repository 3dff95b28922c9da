"""Validation: the raw data against their suite, then into splits that nothing leaks between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from prefect import task
from prefect.cache_policies import NO_CACHE

from hardgate import measurements, quarantine, region, samples, splits, state, statistics
from hardgate.datasets import Encoded, Raw, fetching
from hardgate.datasets.raw import Rows
from hardgate.errors import ParamsError, RefusedError
from hardgate.params import Params
from hardgate.records import DatasetRecord, Measurement, SplitRecord
from hardgate.samples import Samples
from hardgate.splits import Assignment
from tasks import _expectations, _store


@task(cache_policy=NO_CACHE, persist_result=False)
def validate(params: Params) -> DatasetRecord:
    """Read the raw data, judge them, split them, and write what the later stages read.

    Raises
    ------
    ParamsError
        If the data's folder, file or suite is missing, or a setting does not fit the data.
    RefusedError
        If the data break an expectation; names it, the column and the first rows.
    """
    watched = Path("data") / params.model
    if not watched.is_dir():
        raise ParamsError(
            f"{watched.as_posix()}/ is missing: make it, with a note that says where the data come "
            "from; changes below it make the stages run again"
        )
    suite = Path("expectations") / f"{params.model}.json"
    whole = params.dataset.load(_store.ROOT, cache=state.room("data"))
    if params.dataset.encrypt_to:
        fetching.refuse_plain(whole.files, root=_store.ROOT)
    kept = quarantine.apply(whole, params.validation.quarantine, root=_store.ROOT)
    raw = kept.raw
    assignment = splits.assign(raw, params.validation, seed=params.seed)
    directory = _store.fresh(params.model, "validation")
    judged = _expectations.judge(
        pd.concat([raw.frame, splits.audit(raw, assignment)], axis=1),
        suite,
        model=params.model,
        data_docs=directory / "data_docs",
        rows=kept.rows,
    )
    measured = _measure(judged.expectations, rows=len(raw.frame), broken=len(judged.objections))
    if judged.objections:
        raise RefusedError(
            _expectations.refusal(params.model, judged.objections),
            judged.objections,
            measured,
        )
    encoded = params.dataset.encode(raw, assignment.rows("train"))
    region.build(params.threat, encoded.spec)  # a threat that does not fit the data ends here
    recipients = params.dataset.encrypt_to
    train, held_out, test = (
        _write(encoded, assignment, name, directory, recipients, numbers=kept.rows)
        for name in splits.SPLITS
    )
    return _store.keep(
        DatasetRecord(
            model=params.model,
            source=raw.files,
            input=encoded.spec,
            train=train,
            held_out=held_out,
            test=test,
            suite=_store.file(suite),
            expectations=judged.expectations,
            data_docs=directory / "data_docs",
            measurements=measured | _set_aside(params, whole, kept.aside, test=test.samples),
            seed=params.seed,
            params_sha256=params.digest("validation"),
            commit=_store.commit(),
        ),
        model=params.model,
        stage="validation",
    )


def _write(
    encoded: Encoded,
    assignment: Assignment,
    split: str,
    directory: Path,
    recipients: Sequence[str],
    *,
    numbers: Rows,
) -> SplitRecord:
    """Write a split; ``numbers`` says which row of the raw file each encoded row is."""
    rows = assignment.rows(split)
    return samples.write(
        Samples(
            torch.from_numpy(encoded.inputs[rows]),
            torch.from_numpy(encoded.labels[rows]),
            torch.from_numpy(numbers[rows]),
        ),
        directory / f"{split}.safetensors",
        root=_store.ROOT,
        classes=len(encoded.spec.classes),
        recipients=recipients,
    )


def _measure(expectations: int, *, rows: int, broken: int) -> dict[str, Measurement]:
    """State how many expectations were asked of how many rows, and how many did not hold."""
    return {
        measurements.EXPECTATIONS: statistics.exact(expectations, rows),
        measurements.EXPECTATIONS_FAILED: statistics.exact(broken, rows),
    }


def _set_aside(params: Params, whole: Raw, aside: Rows, *, test: int) -> dict[str, Measurement]:
    """State how many rows were set aside, and how many of them are missing from the test split."""
    missing = splits.destined_for_test(whole, aside, params.validation, seed=params.seed)
    rows = len(whole.frame)
    return {
        measurements.QUARANTINED: statistics.exact(len(aside) / rows, rows),
        measurements.QUARANTINED_TEST: statistics.exact(missing / (missing + test), missing + test),
    }


if __name__ == "__main__":
    _store.door(validate.fn)
