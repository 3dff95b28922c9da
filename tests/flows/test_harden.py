"""The whole way with real servers: from raw data to a signed decision and a registered version."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from hardgate.evidence import statement
from hardgate.params import STAGES
from hardgate.records import Decision

pytestmark = pytest.mark.slow


def files(registry, run_id, folder=None):
    """List a run's artifacts, folders walked through."""
    for entry in registry.list_artifacts(run_id, folder):
        if entry.is_dir:
            yield from files(registry, run_id, entry.path)
        else:
            yield entry.path


def version_of(registry, decision):
    return registry.get_model_version("tiny", decision.version)


@pytest.fixture(scope="module")
def decision(served):
    return Decision.model_validate_json(served.stdout)


def test_a_good_model_is_promotable_and_nothing_else_is_on_standard_output(decision, served):
    assert decision.promoted
    assert decision.version == "1"
    assert json.loads(served.stdout)["findings"]


def test_standard_error_holds_the_stages_and_no_word_of_a_library(served):
    lines = [line for line in served.stderr.splitlines() if not line.startswith("  ")]
    assert lines == list(STAGES)


def test_the_challenger_is_named_and_the_champion_is_nobody(decision, served):
    assert served.aliases == {"challenger": decision.version}


def test_the_version_says_in_words_what_was_decided(decision, registry):
    version = version_of(registry, decision)
    assert version.tags["gate.status"] == "passed"
    assert version.tags["gate.refused_by"] == "none"
    assert version.tags["gate.valid_until"] == decision.valid_until
    assert "type `champion`" in version.description
    assert "submitted by **" in version.description
    assert f"/runs/{version.run_id}/artifacts/report/report.html" in version.description
    for finding in decision.findings:
        cells = (finding.gate, "passed", f"{finding.observed.value:.4g}")
        assert f"| {'&emsp;| '.join(cells)}&emsp;|" in version.description


def test_every_stage_is_a_child_run_with_its_numbers(decision, registry):
    parent = registry.get_run(version_of(registry, decision).run_id)
    runs = registry.search_runs(
        [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    )
    children = {run.info.run_name: run for run in runs}
    assert set(children) == set(STAGES)
    assert {run.info.status for run in (parent, *runs)} == {"FINISHED"}
    for finding in decision.findings[1:3]:
        metric = {
            "clean_quality/auc": "clean/auc",
            "robust_auc/worst_case": "robust/worst_case/auc",
        }
        name, logged = metric[finding.gate], children["evaluation"].data.metrics
        assert logged[name] == pytest.approx(finding.observed.value)
        assert logged[f"{name}/lower"] == pytest.approx(finding.observed.lower)
    history = registry.get_metric_history(children["training"].info.run_id, "held_out_robust")
    assert [point.step for point in history] == [0, 1, 2]
    assert parent.data.params["threat.eps"] == "0.1"
    assert parent.data.params["training.defense.recipe"] == "pgd"


def test_report_data_docs_and_evidence_are_attached(decision, registry):
    parent = version_of(registry, decision).run_id
    experiment = registry.get_run(parent).info.experiment_id
    found = {
        path
        for run in registry.search_runs([experiment])
        if parent in (run.info.run_id, run.data.tags.get("mlflow.parentRunId"))
        for path in files(registry, run.info.run_id)
    }
    assert {
        "report/report.html",
        "report/decision.json",
        "evidence/evidence.dsse.json",
        "evidence/model.sig",
        "evidence/bom.cdx.json",
        "evidence/provenance.dsse.json",
        "report/supply-chain.json",
        "evidence/outcomes.jsonl",
        "data_docs/index.html",
        "importance.png",
        "curve.csv",
        "history.csv",
    } <= found


@pytest.fixture
def runs(served, dashboard):
    """The flow runs of the first hardening of all, in their order."""
    started = [run for run in dashboard.read_flow_runs() if run.start_time]
    return sorted(started, key=lambda run: run.start_time)[: 1 + len(STAGES)]


def test_prefect_shows_a_completed_run_with_a_subflow_per_stage(runs, dashboard):
    flows = {flow.id: flow.name for flow in dashboard.read_flows()}
    assert [flows[run.flow_id] for run in runs] == ["harden", *STAGES]
    assert [run.name for run in runs] == ["harden tiny", *STAGES]
    assert {run.state_name for run in runs} == {"Completed"}
    assert runs[0].parameters == {"model": "tiny", "overrides": None}


def test_prefect_shows_the_findings(decision, runs, dashboard):
    of_promotion = [
        entry for entry in dashboard.read_artifacts() if entry.flow_run_id == runs[-1].id
    ]
    artifacts = {entry.key: entry for entry in of_promotion}
    table = json.loads(artifacts["tiny-findings"].data)
    assert [row["gate"] for row in table] == [finding.gate for finding in decision.findings]
    assert {row["verdict"] for row in table} == {"passed"}
    assert artifacts["tiny-decision"].data.startswith("# tiny, version 1: promotable")


def test_the_same_project_run_again_gives_the_same_decision(visited, registry, decision):
    before = len(registry.search_model_versions("name = 'tiny'"))
    again = visited.harden()
    assert set(again.stages.values()) == {"up to date"}
    assert list(again.stages) == list(STAGES)
    assert again.decision == decision
    assert len(registry.search_model_versions("name = 'tiny'")) == before


def test_the_evidence_in_the_registry_is_the_one_that_the_decision_names(
    decision, registry, served, tmp_path
):
    run_id = version_of(registry, decision).run_id
    path = registry.download_artifacts(run_id, "evidence/evidence.dsse.json", str(tmp_path))
    local = served.project.root / decision.evidence.path
    assert Path(path).read_bytes() == local.read_bytes()
    payload = base64.b64decode(json.loads(local.read_text())["payload"])
    signed = statement.read(payload).predicate
    assert signed.registry.version == decision.version
    assert signed.registry.run_id == run_id
    assert signed.decision == "promotable"
    assert signed.findings == decision.findings
    assert signed.commit == served.project.git("rev-parse", "HEAD").strip()
