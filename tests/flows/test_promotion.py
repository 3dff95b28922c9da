"""What promotion does when something is wrong: the alias must not move."""

from __future__ import annotations

import shutil

import pytest

from hardgate.records import Verdict

pytestmark = pytest.mark.slow

STRICT = (
    "tiny.promotion.gates.1="
    "{kind: clean_quality, metric: auc, bound: 0.999, margin: 0.0001, min_samples: 100}"
)


@pytest.fixture
def before(visited, registry):
    """Aliases and number of versions, before the test does anything."""
    return state_of(registry)


def state_of(registry):
    aliases = registry.get_registered_model("tiny").aliases
    return dict(aliases), len(registry.search_model_versions("name = 'tiny'"))


def test_a_refused_model_is_registered_and_marked_and_gets_no_alias(visited, registry, before):
    aliases, versions = before
    text = visited.project.params.read_text()
    run = visited.harden(STRICT)
    assert visited.project.params.read_text() == text  # an override holds for its run
    refused = {finding.gate: finding for finding in run.decision.findings}
    assert not run.decision.promoted
    assert refused["clean_quality/auc"].verdict is Verdict.FAILED
    assert state_of(registry) == (aliases, versions + 1)
    version = registry.get_model_version("tiny", run.decision.version)
    assert version.aliases == []
    assert version.tags["gate.status"] == "refused"
    assert version.tags["gate.refused_by"] == "clean_quality/auc"
    assert version.description.startswith("**Refused.**")
    assert "| **clean_quality/auc**&emsp;| **failed**" in version.description
    assert "will not let it be `champion`" in version.description


def verdicts_of(decision):
    return {finding.gate: finding.verdict for finding in decision.findings}


def test_a_model_trained_the_standard_way_is_refused_for_its_robustness(visited):
    run = visited.harden(
        "tiny.training.defense={recipe: standard}",
        "tiny.threat.eps=0.8",
        "tiny.evaluation.attacks.0.step_size=0.4",
        "tiny.evaluation.curve.attack.step_size=0.8",
        "tiny.explanation.attack.step_size=0.4",
    )
    verdicts = verdicts_of(run.decision)
    assert not run.decision.promoted
    assert verdicts["clean_quality/auc"] is Verdict.PASSED
    assert verdicts["robust_auc/worst_case"] is Verdict.FAILED


def test_a_model_that_learned_shuffled_labels_is_refused_for_its_quality(visited):
    frame = visited.project.frame()
    frame["late"] = frame["late"].sample(frac=1, random_state=0).to_numpy()
    frame.to_csv(visited.project.data, index=False)
    run = visited.harden()
    assert not run.decision.promoted
    assert verdicts_of(run.decision)["clean_quality/auc"] is Verdict.FAILED


def test_a_model_that_passes_later_takes_the_alias(visited, registry, before):
    aliases, versions = before
    run = visited.harden("tiny.threat.eps=0.11")
    assert run.decision.promoted
    assert state_of(registry) == (aliases | {"challenger": run.decision.version}, versions + 1)


def test_a_stage_that_crashes_leaves_the_alias_and_the_next_run_goes_on(
    visited, registry, dashboard, before
):
    in_the_way = visited.project.run("evaluation")
    in_the_way.rename(in_the_way.with_name("aside"))
    in_the_way.touch()  # a file where the stage wants a folder
    with pytest.raises(FileExistsError):
        visited.harden()
    assert state_of(registry) == before
    last = max(
        (run for run in dashboard.read_flow_runs() if run.name == "harden tiny"),
        key=lambda run: run.expected_start_time,
    )
    assert last.state_name in {"Failed", "Crashed"}

    in_the_way.unlink()
    run = visited.harden()
    assert run.stages["explanation"] == "up to date"
    assert run.stages["evaluation"] == "run"
    assert run.decision.promoted


def test_a_crash_after_registration_leaves_the_alias(visited, registry, before):
    aliases, versions = before
    folder = visited.project.run("promotion")
    shutil.rmtree(folder)
    folder.touch()  # there is no room for the evidence
    with pytest.raises(NotADirectoryError):
        visited.harden()
    assert state_of(registry) == (aliases, versions + 1)
    newest = max(registry.search_model_versions("name = 'tiny'"), key=lambda v: int(v.version))
    assert newest.aliases == []
    assert newest.tags == {}

    folder.unlink()
    run = visited.harden()
    assert run.decision.promoted
    assert int(run.decision.version) == int(newest.version) + 1
    assert state_of(registry)[0]["challenger"] == run.decision.version
