"""k-anonymity and l-diversity: counted as on paper, and as pycanon counts them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pycanon import anonymity as pycanon

from hardgate import measurements
from hardgate.errors import ParamsError
from hardgate.gates.anonymity import AnonymityGate
from hardgate.records import Verdict
from hardgate.risks.personal_data import anonymity

BELOW_3 = measurements.below("k_anonymity", 3)
BELOW_2 = measurements.below("l_diversity", 2)


def test_classes_are_counted_as_on_paper() -> None:
    frame = pd.DataFrame({"sex": list("fffmmmm"), "town": list("aabccca"), "ill": list("ynnyyyn")})
    found = anonymity.measure(frame, ["sex", "town"], label="ill", k=3, l=2)
    assert found[measurements.smallest("k_anonymity")].value == 1
    assert found[BELOW_3].value == pytest.approx(4 / 7)  # all but the three of (m, c)
    assert found[measurements.smallest("l_diversity")].value == 1
    assert found[BELOW_2].value == pytest.approx(5 / 7)  # all but the two of (f, a)
    assert {each.interval for each in found.values()} == {"exact"}


def test_missing_is_a_value_like_others() -> None:
    frame = pd.DataFrame({"town": [None, None, "a"], "ill": list("yny")})
    found = anonymity.measure(frame, ["town"], label="ill", k=2, l=2)
    assert found[measurements.below("k_anonymity", 2)].value == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", range(3))
def test_smallest_classes_are_those_of_pycanon(seed: int) -> None:
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(draw.integers(0, 3, (300, 4)), columns=["a", "b", "c", "label"])
    found = anonymity.measure(frame, ["a", "b", "c"], label="label", k=5, l=2)
    assert found[measurements.smallest("k_anonymity")].value == pycanon.k_anonymity(
        frame, ["a", "b", "c"]
    )
    assert found[measurements.smallest("l_diversity")].value == pycanon.l_diversity(
        frame, ["a", "b", "c"], ["label"]
    )


def test_a_planted_row_that_stands_out_fails_the_gate_and_its_clean_twin_passes() -> None:
    gate = AnonymityGate(kind="anonymity", of="k_anonymity", wanted=3, bound=0.0, min_samples=10)
    frame = pd.DataFrame({"age": [30] * 10 + [40] * 10, "ill": list("yn") * 10})
    assert gate.judge(anonymity.measure(frame, ["age"], label="ill", k=3, l=2)).verdict is (
        Verdict.PASSED
    )
    frame.loc[0, "age"] = 97
    assert gate.judge(anonymity.measure(frame, ["age"], label="ill", k=3, l=2)).verdict is (
        Verdict.FAILED
    )


@pytest.mark.parametrize("name", ["nobody", "ill"])
def test_a_column_that_is_not_there_or_is_the_label_is_refused(name: str) -> None:
    frame = pd.DataFrame({"age": [1], "ill": ["y"]})
    with pytest.raises(ParamsError, match="quasi_identifiers names"):
        anonymity.measure(frame, [name], label="ill", k=2, l=2)
