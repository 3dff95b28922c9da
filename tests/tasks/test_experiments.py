"""Experiments of DVC: how changes are spelled, found again and forgotten."""

from __future__ import annotations

import os

import pytest
import yaml

from hardgate import params_file
from hardgate.errors import UnavailableError
from tasks import _experiments

VALUES = {
    "recipe": "trades",
    "radius": "8/255",
    "quoted": "it's {odd}, [really]: \\ $ \\' \\",
    "number": 1.5,
    "tiny": 1e-07,
    "whole": 3,
    "switch": True,
    "nothing": None,
    "list": [64, 32],
    "nested": {"deep": {"deeper": [{"name": "x", "rate": 0.1}]}},
    "empty": {},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_dvc_reads_a_spelled_value_as_it_was(tmp_path, value):
    from dvc.utils.hydra import apply_overrides

    path = tmp_path / "params.yaml"
    path.write_text("tiny: {training: {epochs: 3}}\n", encoding="utf-8")
    apply_overrides(path, _experiments.replaced("tiny.training", {"new": value}, there={}))
    read = params_file.parse(path.read_text(encoding="utf-8"))
    assert read["tiny"]["training"] == {"epochs": 3, "new": value}


def test_a_replaced_recipe_keeps_no_key_of_the_old_one(tmp_path):
    from dvc.utils.hydra import apply_overrides

    old = {"defense": {"recipe": "pgd", "steps": 3, "step_size": 0.1}, "epochs": 3}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"tiny": {"training": old}}), encoding="utf-8")
    new = {"defense": {"recipe": "standard"}, "epochs": 2, "averaging": 0.5}
    apply_overrides(path, _experiments.replaced("tiny.training", new, there=old))
    assert yaml.safe_load(path.read_text())["tiny"]["training"] == new


def test_an_experiment_is_found_by_its_name_alone_and_forgotten(project):
    head = project.git("rev-parse", "HEAD").strip()
    project.git("update-ref", f"refs/exps/{head[:2]}/{head[2:]}/compare-tiny-a-1", "HEAD")
    assert _experiments.find("compare-tiny-a-1") == head
    assert _experiments.find("compare-tiny-a") is None
    _experiments.remove("compare-tiny-a-1")
    assert _experiments.find("compare-tiny-a-1") is None


def test_a_project_without_a_commit_is_refused_in_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnavailableError, match="git commit"):
        _experiments.ready()


def state_of(project) -> list[str]:
    """What Git knows of a project: its changes, what is staged of them, and every reference."""
    return [
        project.git("status", "--porcelain"),
        project.git("diff", "--cached"),
        project.git("diff"),
        project.git("for-each-ref"),
        project.git("stash", "list"),
    ]


def test_a_copy_holds_what_is_changed_staged_and_unknown_and_leaves_the_project(project):
    changed = project.root / "hardgate" / "quality.py"
    staged = project.root / "hardgate" / "staged.py"
    unknown = project.root / "data" / "tiny" / "more.csv"
    elsewhere = project.root / "notes.txt"
    deleted = project.root / "tasks" / "_reporting.py"
    for path in (changed, staged, unknown, elsewhere):
        path.write_text("x = 1\n")
    deleted.unlink()
    project.git("add", "hardgate/staged.py")
    staged.write_text("x = 2\n")
    before = state_of(project)
    with _experiments.copied(["data/tiny", "dvc.lock"], project.home) as copy:
        for path in (changed, staged, unknown):
            found = copy / path.relative_to(project.root)
            assert found.read_text() == path.read_text()
        assert not (copy / "notes.txt").exists()
        assert not (copy / "tasks" / "_reporting.py").exists()
        assert (copy / "params.yaml").read_text() == project.params.read_text()
    assert not copy.exists()
    assert state_of(project) == before


def test_a_copy_can_commit_where_git_knows_nobody(project, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    _experiments._asked("config", "--unset", "user.name")
    with _experiments.copied([], project.home) as copy:
        assert _experiments._asked("config", "user.name", at=copy) == "hardgate"
        assert _experiments._asked("config", "user.email", at=copy) == "test@example.com"


def test_what_the_copy_of_a_killed_run_finished_is_taken_over(project):
    project.home.mkdir(exist_ok=True)
    head = project.git("rev-parse", "HEAD").strip()
    reference = f"refs/exps/{head[:2]}/{head[2:]}/compare-tiny-a-1"
    _experiments._check_out(project.home / "project")
    _experiments._asked("update-ref", reference, "HEAD", at=project.home / "project")
    assert _experiments.find("compare-tiny-a-1") is None
    with _experiments.copied([], project.home):
        assert _experiments.find("compare-tiny-a-1") == head


def test_a_project_below_a_shallow_repository_is_copied_too(project, tmp_path, monkeypatch):
    _experiments._asked("clone", "--quiet", "--depth=1", project.root.as_uri(), str(tmp_path / "a"))
    monkeypatch.chdir(tmp_path / "a" / "data")
    (tmp_path / "a" / "data" / "new.csv").write_text("a\n1\n")
    _experiments._check_out(tmp_path / "b")
    assert (tmp_path / "b" / "data" / "tiny" / "borrowers.csv").read_bytes() == (
        project.data.read_bytes()
    )


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("WARNING: x\nepochs must be 1\nERROR: failed to reproduce\n", "epochs must be 1"),
        ("ERROR: bad revision\nHaving any troubles?\n", "bad revision"),
        ("", "DVC ended without a word"),
    ],
    ids=["stage", "dvc", "silence"],
)
def test_the_reason_of_a_failure_is_what_the_stage_said_last(tmp_path, printed, reason):
    log = tmp_path / "log"
    log.write_text(printed, encoding="utf-8")
    assert _experiments._reason(log) == reason
