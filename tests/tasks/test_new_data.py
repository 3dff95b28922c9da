"""New data beside the old ones: measured against them, and trained towards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from hardgate import measurements, params
from hardgate.errors import ParamsError
from hardgate.records import Verdict

DRIFT = (
    "tiny.evaluation.risks=[{name: drift, new: data/tiny/new.csv, samples: 500, practical: 0.1, "
    "rounds: 20}]"
)
WEIGHTS = "tiny.training.importance={new: data/tiny/new.csv, rounds: 20, most: 10}"


def later(frame: pd.DataFrame) -> pd.DataFrame:
    """The same people a good while later, and not yet labelled; some moved to a new region."""
    older = frame.assign(age=frame["age"] + 25, region=frame["region"].replace("west", "abroad"))
    return older.drop(columns="late")


def ages(project: Any) -> float:
    """The mean age of the rows that a model trained on would see: those drawn, by weight."""
    from hardgate.samples import Samples
    from tasks import _store, training

    kept = load_file(project.run("augmentation") / "train.safetensors")
    corpus = Samples(kept["inputs"], kept["labels"], kept["rows"])
    drawn = training.weighed(params.load("tiny"), _store.dataset("tiny"), corpus)
    assert len(drawn) == len(corpus)
    return float(np.nanmean(drawn.inputs[:, 2].numpy()))


def test_a_file_of_new_data_is_measured_judged_and_trained_towards(project: Any) -> None:
    """Without its labels, and with a category that training never saw."""
    from tasks import _measuring

    later(project.frame()).to_csv(project.data.parent / "new.csv", index=False)
    project.stages(until="augmentation")
    before = ages(project)
    params.override("tiny", [DRIFT, WEIGHTS])
    text = project.params.read_text()
    project.params.write_text(
        text + "      - {kind: drift, by: columns, bound: 0.4, min_samples: 9}\n"
    )
    assert ages(project) > before + 3
    project.stage("training")
    found = _measuring.measure("tiny", "drift")
    assert found.measurements[measurements.drift_effect("age")].lower > 0.2
    assert found.measurements[measurements.drift_effect("region")].value == pytest.approx(
        0.2, abs=0.1
    )
    assert measurements.ACCURACY_TRUE not in found.measurements
    assert [finding.verdict for finding in found.findings] == [Verdict.FAILED]
    assert found.exit_code == 1


def test_new_data_that_are_not_there_are_named(project: Any) -> None:
    project.stages(until="augmentation")
    params.override("tiny", [WEIGHTS])
    with pytest.raises(ParamsError, match=r"new = 'data/tiny/new\.csv': there is no such file"):
        project.stage("training")
