"""Data that break their contract end the run: a decision with objections, and nothing else."""

from __future__ import annotations

import pytest

from hardgate.params import STAGES
from hardgate.records import Decision, Verdict

pytestmark = pytest.mark.slow


def test_refused_data_are_a_decision_and_register_nothing(visited, registry, dashboard):
    before = registry.search_model_versions("name = 'tiny'")
    frame = visited.project.frame()
    frame.loc[[3, 8], "age"] = 7
    frame.to_csv(visited.project.data, index=False)
    raw = visited.project.data.read_bytes()

    done = visited.project.hardgate("harden", "tiny", "--json", env=visited.servers.environment)

    assert done.returncode == 1
    assert done.stderr.split() == ["validation", "promotion"]
    decision = Decision.model_validate_json(done.stdout)
    assert not decision.promoted
    assert decision.version is None
    assert decision.evidence is None
    verdicts = {finding.gate: finding.verdict for finding in decision.findings}
    assert verdicts.pop("data_contract") is Verdict.FAILED
    assert set(verdicts.values()) == {Verdict.UNMEASURED}
    (objection,) = decision.objections
    assert (objection.column, objection.rows, objection.count) == ("age", (3, 8), 2)

    assert registry.search_model_versions("name = 'tiny'") == before
    assert visited.project.data.read_bytes() == raw
    assert "age" in (visited.project.run("promotion") / "report.html").read_text()
    shown = [entry.data for entry in dashboard.read_artifacts() if entry.key == "tiny-decision"]
    assert any("refused" in text and "on age" in text for text in shown)


def test_better_data_are_taken_after_a_refusal(visited):
    good = visited.project.data.read_bytes()
    visited.project.data.write_bytes(good.replace(b"south", b"atlantis", 1))
    (objection,) = visited.harden().decision.objections
    assert objection.values == ("atlantis",)
    visited.project.data.write_bytes(good)
    again = visited.harden()
    assert again.decision.promoted
    assert list(again.stages) == list(STAGES)
