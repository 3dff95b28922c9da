"""Validation with rows set aside: they are in no split, and records still name raw rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardgate import measurements, params, quarantine
from hardgate.errors import DataError, RefusedError
from tasks import _store

NAME = "data/tiny/quarantine.csv"


def set_aside(project: Any, *rows: int) -> None:
    """Set rows aside as the list of a newest slice does."""
    settings = params.override("tiny", [f"tiny.validation.quarantine={NAME}"])
    raw = settings.dataset.load(_store.ROOT)
    quarantine.write(raw, np.array(rows), ["sent by nobody"] * len(rows), project.root / NAME)


def test_rows_that_are_set_aside_are_in_no_split_and_the_record_says_so(project: Any) -> None:
    before = project.stage("validation")
    aside = (
        _store.split(before.test).rows[:3].tolist() + _store.split(before.train).rows[:2].tolist()
    )
    set_aside(project, *aside)
    after = project.stage("validation")
    splits = [_store.split(split) for split in (after.train, after.held_out, after.test)]
    rows = np.concatenate([split.rows.numpy() for split in splits])
    assert sorted([*rows.tolist(), *aside]) == list(range(500))
    incomes = project.frame()["income"].to_numpy(np.float32)
    for split in splits:  # a sample still names its row of the raw file
        assert (incomes[split.rows.numpy()] == split.inputs[:, 0].numpy()).all()
    assert after.source[1].path == Path(NAME)
    assert after.measurements[measurements.QUARANTINED].value == 5 / 500
    missing = after.measurements[measurements.QUARANTINED_TEST]
    assert missing.value == pytest.approx(3 / (after.test.samples + 3))


def test_nothing_set_aside_is_measured_too(project: Any) -> None:
    found = project.stage("validation").measurements
    assert found[measurements.QUARANTINED].value == 0
    assert found[measurements.QUARANTINED_TEST].value == 0


def test_a_refusal_names_rows_of_the_raw_file(project: Any) -> None:
    frame = project.frame()
    frame.loc[40, "age"] = 900
    frame.to_csv(project.data, index=False)
    set_aside(project, 3, 7)
    with pytest.raises(RefusedError, match="age in row 40: "):
        project.stage("validation")


def test_rows_that_moved_are_refused_by_file_and_line(project: Any, command: Any) -> None:
    set_aside(project, 3)
    project.frame().iloc[::-1].to_csv(project.data, index=False)
    with pytest.raises(DataError, match=f"{NAME}, line 2: row 3 is not the one that was set aside"):
        project.stage("validation")


def test_a_file_elsewhere_is_refused_before_anything_is_read(project: Any, command: Any) -> None:
    ended = command("harden", "tiny", "-S", "tiny.validation.quarantine=aside.csv")
    assert ended.status == 2
    assert "tiny.validation.quarantine names aside.csv, which is not below data/tiny/" in ended.err
