"""Experiments of DVC: how changes are spelled, found again and forgotten."""

from __future__ import annotations

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


def test_what_git_does_not_know_is_copied_and_the_rest_is_not(project):
    places = ("hardgate", "data/tiny", "expectations/tiny.json", "dvc.lock")
    assert _experiments._unknown(places) == []
    (project.root / "data" / "tiny" / "more.csv").write_text("a\n1\n")
    (project.root / "dvc.lock").write_text("schema: '2.0'\n")
    assert _experiments._unknown(places) == ["data/tiny", "dvc.lock"]


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
