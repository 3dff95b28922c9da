"""The drill, as its user runs it, on a few of its cases: all of them take minutes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hardgate.drill import materials, result
from hardgate.errors import ParamsError
from hardgate.records import Finding, Verdict
from tasks import _drilling

CASES = ("good-digits-1", "empty-policy", "edited-measurement", "stale-evidence")


def finding(gate: str, verdict: Verdict) -> Finding:
    return Finding(
        gate=gate, verdict=verdict, observed=None, bound=1.0, condition="at least 1", message="no"
    )


def test_refused_data_are_refused_by_their_contract_and_by_no_gate_after_it() -> None:
    refused, passed = Verdict.UNMEASURED, Verdict.PASSED
    assert _drilling.gates_that_refused([finding("robust_auc", refused)]) == ("robust_auc",)
    for contract, others in ((refused, ("data_contract",)), (passed, ("fairness/SEX",))):
        findings = [finding("data_contract", contract), finding("fairness/SEX", refused)]
        assert _drilling.gates_that_refused(findings) == others


def test_a_case_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ParamsError, match=r"--case masqed: the drill has good-rows-1, .*masked\?"):
        _drilling.drill(("masqed",))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_bad_candidates_are_refused_by_who_should_and_nothing_here_changes(
    project: Any,
) -> None:
    credit = materials.CREDIT
    (project.root / credit).parent.mkdir()
    shutil.copy(Path(__file__).parents[2] / credit, project.root / credit)
    before = project.git("status", "--short")
    words = [word for name in CASES for word in ("--case", name)]
    ended = project.hardgate("drill", "gates", "--json", *words, timeout=800)
    assert ended.returncode == 0, ended.stderr
    found = result.Drill.model_validate(json.loads(ended.stdout))
    assert [each.name for each in found.outcomes] == list(CASES)  # in the order of the cases
    assert all(each.right for each in found.outcomes)
    assert project.git("status", "--short") == before
    # a part of the drill is no score of the gates
    assert not (project.home / result.FILE).exists()
