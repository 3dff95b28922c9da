"""The cases of the drill: enough of them, each with params that hold, and data changed as told."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import yaml

from hardgate import params
from hardgate.drill import cases, materials
from hardgate.drill.cases import CASES, Case, Tampering
from hardgate.errors import ParamsError

ROOT = Path(__file__).parents[3]
BAD = [case for case in CASES if case.expected is not None]
# Refused before anything runs, which is what they are for.
PARAMS_ALONE = {"empty-policy"}


def loaded(case: Case, folder: Path) -> params.Params:
    material = materials.material(case.kind, case.name, ROOT)
    if case.change is not None:
        case.change(material)
    document = {"models": [case.name], case.name: cases.section(case, material)}
    (folder / "params.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return params.load(case.name, folder / "params.yaml")


def test_there_are_bad_candidates_enough_and_five_good_ones_with_seeds_of_their_own() -> None:
    assert len(BAD) >= 25
    good = [case for case in CASES if case.expected is None]
    assert len(good) == 5
    assert len({(case.kind, case.settings["seed"]) for case in good}) == 5


def test_names_are_unique_and_every_tampering_is_tried() -> None:
    assert max(Counter(case.name for case in CASES).values()) == 1
    assert {case.tampering for case in CASES} - {None} == set(get_args(Tampering))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_has_params_that_hold(case: Case, tmp_path: Path) -> None:
    if case.name in PARAMS_ALONE:
        with pytest.raises(ParamsError, match=case.expected):
            loaded(case, tmp_path)
        return
    section = loaded(case, tmp_path)
    assert section.model == case.name


@pytest.mark.parametrize("case", [case for case in CASES if case.change], ids=lambda c: c.name)
def test_a_change_changes_the_data_and_the_next_case_gets_good_ones(case: Case) -> None:
    changed, good = (materials.material(case.kind, case.name, ROOT) for _ in range(2))
    case.change(changed)
    same = changed.rows.equals(good.rows) and all(
        np.array_equal(left, right)
        for left, right in zip(
            vars(changed.digits).values(), vars(good.digits).values(), strict=True
        )
    )
    assert not same


def test_cases_that_share_a_run_differ_in_nothing_but_what_is_done_to_it() -> None:
    shared = [case for case in CASES if case.run]
    assert {case.run for case in shared} == {cases.FINISHED, cases.REFUSED}
    for case in shared:
        first = next(each for each in shared if each.run == case.run)
        assert case.tampering is not None
        assert (case.kind, case.change, case.settings) == (first.kind, None, first.settings)
    assert {case.run for case in CASES if case.tampering} == {cases.FINISHED, cases.REFUSED}
