"""Prefect's door and DVC's lead to the same function, and leave one history."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hardgate import measurements, params, records
from hardgate.params import STAGES
from hardgate.records import (
    AttributionRecord,
    CandidateRecord,
    CorpusRecord,
    DatasetRecord,
    Decision,
    EvaluationRecord,
)
from tasks import _history

pytestmark = pytest.mark.slow

FILES = STAGES[:-1]  # promotion changes the registry, not a file


def dvc(project, *words):
    """Run DVC as a person does who has activated the environment."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["dvc", *words],
        cwd=project.root,
        env=project.environment() | {"PATH": path, "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ran(output):
    """List the stages that DVC says it ran."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def read(project, stage, kind):
    return records.read(kind, project.run(stage) / "record.json")


# What a door cannot change: everything but clocks, and digests of records that hold them.
SAME = [
    ("validation", DatasetRecord, "source input train held_out test measurements"),
    ("augmentation", CorpusRecord, "train original_samples made_from params_sha256"),
    ("training", CandidateRecord, "model_sha256 best_epoch epochs weights params_sha256"),
    ("explanation", AttributionRecord, "importance values background_sha256 measurements"),
    ("evaluation", EvaluationRecord, "outcomes merkle_root adversarial test_sha256"),
]


# Of the evidence: when and as what it was registered, and digests of files that say so. In
# ``dvc_lock`` are digests of records, which hold clocks; only one of the commits has ``dvc.lock``.
TIMED = (
    "registry",
    "model_signature_sha256",
    "dvc_lock",
    "commit",
    "attachments",
    "issued_at",
    "valid_until",
)


@pytest.fixture(scope="module")
def reproduced(served, tmp_path_factory, _pristine):
    """A project that ``dvc repro`` has gone through, and nothing else."""
    project = type(_pristine)(tmp_path_factory.mktemp("reproduced") / "project")
    shutil.copytree(_pristine.root, project.root, symlinks=True)
    assert ran(dvc(project, "repro")) == [f"{stage}@tiny" for stage in FILES]
    project.git("add", "dvc.lock")
    project.git("commit", "--quiet", "--message=Reproduced")
    return project


def test_after_a_flow_dvc_has_nothing_to_do(visited):
    assert dvc(visited.project, "status") == "Data and pipelines are up to date.\n"
    assert ran(dvc(visited.project, "repro")) == []


@pytest.mark.parametrize(("stage", "kind", "fields"), SAME)
def test_both_doors_make_the_same(stage, kind, fields, served, reproduced):
    ours, theirs = (read(project, stage, kind) for project in (served.project, reproduced))
    for field in fields.split():
        assert getattr(ours, field) == getattr(theirs, field), field


def test_after_dvc_repro_the_flow_runs_no_stage(visited, reproduced, monkeypatch):
    monkeypatch.chdir(reproduced.root)
    monkeypatch.setenv("HARDGATE_HOME", str(reproduced.home))
    run = visited.harden()
    assert run.stages == dict.fromkeys(FILES, "up to date") | {"promotion": "run"}
    assert run.decision.promoted


def signed_body(project):
    """Give what the evidence says; times, and what is made of them, left out."""
    decision = records.read(Decision, project.run("promotion") / "decision.json")
    envelope = json.loads((project.root / decision.evidence.path).read_text())
    body = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    model = {file["path"]: file["sha256"] for file in body.pop("files")}
    described = ("MLmodel", "metadata/MLmodel")  # MLflow writes the run and the time in it
    body["weights"] = {path: sha256 for path, sha256 in model.items() if path not in described}
    for key in TIMED:
        del body[key]
    del body["measurements"][measurements.VERSIONS_BEFORE]  # the other folder was here first
    body["measurements"] = {
        name: found for name, found in body["measurements"].items() if not name.endswith("seconds")
    }
    return body


def test_two_folders_give_the_same_evidence_but_for_times(visited, served, reproduced, monkeypatch):
    first = signed_body(served.project)
    monkeypatch.chdir(reproduced.root)
    monkeypatch.setenv("HARDGATE_HOME", str(reproduced.home))
    assert visited.harden().decision.promoted
    assert json.dumps(signed_body(reproduced)) == json.dumps(first)
    assert len(first["measurements"]) > 50


def test_an_experiment_runs_what_it_changes_is_listed_and_shows_in_evidence(
    visited, reproduced, monkeypatch, tmp_path
):
    output = dvc(reproduced, "exp", "run", "--name", "wider", "-S", "tiny.threat.eps=0.12")
    assert ran(output) == [f"{stage}@tiny" for stage in FILES[1:]]

    listed = json.loads(dvc(reproduced, "exp", "show", "--json"))
    workspace, baseline = listed
    (experiment,) = baseline["experiments"]
    assert experiment["name"] == "wider"
    for entry, eps in ((workspace, 0.12), (baseline, 0.1), (experiment["revs"][0], 0.12)):
        assert entry["data"]["params"]["params.yaml"]["data"]["tiny"]["threat"]["eps"] == eps
        assert entry["data"]["metrics"]["runs/tiny/evaluation/metrics.json"]["data"]

    changes = json.loads(dvc(reproduced, "metrics", "diff", "--json"))
    metric = changes["runs/tiny/evaluation/metrics.json"]["robust/worst_case/auc"]
    assert metric["new"] < metric["old"]

    for words in (("show",), ("diff", "HEAD")):
        dvc(reproduced, "plots", *words, "--out", str(tmp_path / words[0]))
        page = (tmp_path / words[0] / "index.html").read_text()
        assert "security curve" in page
        assert "held-out score under attack by epoch" in page
        assert ("HEAD" in page) == (words[0] == "diff")

    monkeypatch.chdir(reproduced.root)
    monkeypatch.setenv("HARDGATE_HOME", str(reproduced.home))
    run = visited.harden()
    assert run.stages == dict.fromkeys(FILES, "up to date") | {"promotion": "run"}
    envelope = json.loads((reproduced.root / run.decision.evidence.path).read_text())
    signed = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    assert signed["threat"]["content"]["eps"] == 0.12
    assert signed["params"]["content"]["threat"]["eps"] == 0.12
    locked = signed["dvc_lock"]["content"]["evaluation@tiny"]["params"]["params.yaml"]
    assert locked["tiny.threat"]["eps"] == 0.12


def stale():
    """List the stages whose own params, data or code have changed."""
    return [stage for stage in FILES if not _history.is_current(stage, "tiny")]


@pytest.mark.parametrize(
    ("override", "affected"),
    [
        ("tiny.promotion.valid_days=5", ()),
        ("tiny.validation.test=0.25", ("validation",)),
        ("tiny.augmentation.members.0.share=0.2", ("augmentation",)),
        ("tiny.explanation.noise=0.03", ("explanation",)),
        ("tiny.evaluation.samples=140", ("evaluation",)),
        (
            "tiny.training.epochs=4",
            ("training", "evaluation"),
        ),  # the undefended twin is trained too
        ("tiny.threat.eps=0.12", FILES[1:]),
        ("tiny.seed=8", FILES),
    ],
)
def test_a_changed_key_concerns_the_stages_that_name_it(visited, override, affected):
    params.override("tiny", [override])
    assert stale() == list(affected)


def test_only_what_a_change_concerns_runs_again(visited):
    run = visited.harden("tiny.explanation.noise=0.03")
    unchanged = dict.fromkeys(FILES, "up to date")
    assert run.stages == unchanged | {"explanation": "run", "promotion": "run"}
    assert run.decision.promoted


def test_what_was_made_from_a_model_follows_its_record(visited):
    """Another patience, the same weights: their record is another, and so is what names it."""
    run = visited.harden("tiny.training.early_stopping.patience=2")
    assert [stage for stage, what in run.stages.items() if what == "run"] == list(STAGES[2:])
    assert run.decision.promoted


def test_changed_data_code_or_outputs_are_noticed(visited):
    project = visited.project
    suite = project.root / "expectations" / "tiny.json"
    suite.write_text(suite.read_text().replace("Made rows", "Rows"))
    assert stale() == ["validation"]
    method = project.root / "hardgate" / "attacks" / "ascent.py"
    method.write_text(method.read_text() + "# another word\n")
    assert stale() == list(FILES)


def test_outputs_that_were_tampered_with_are_made_again(visited):
    weights = visited.project.run("training") / "model" / "weights.safetensors"
    made = weights.read_bytes()
    weights.write_bytes(made[:-1] + bytes([made[-1] ^ 1]))
    assert stale() == ["training", "explanation", "evaluation"]
    run = visited.harden()
    assert [stage for stage, what in run.stages.items() if what == "run"] == ["training"]
    assert weights.read_bytes() == made
    assert run.decision.promoted


def test_the_flow_waits_for_another_command_of_dvc(visited):
    from dvc.repo import Repo

    held, release = threading.Event(), threading.Event()

    def hold():
        with Repo(".") as repository, repository.lock:
            held.set()
            release.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(60)
    threading.Timer(6, release.set).start()  # DVC itself gives up after three seconds
    assert _history.is_current("validation", "tiny")
    assert release.is_set()
    holder.join()


def test_a_stage_by_itself_ends_with_the_status_of_its_error(visited):
    frame = visited.project.frame()
    frame.loc[5, "age"] = 7
    frame.to_csv(visited.project.data, index=False)
    done = subprocess.run(
        [sys.executable, "-m", "tasks.validation", "tiny"],
        env=visited.project.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "age" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (visited.project.run("validation") / "record.json").exists()
