"""A stage has one name, spelled the same everywhere."""

from pathlib import Path

import pytest
import yaml

from hardgate import params

ROOT = Path(__file__).parents[2]
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("stage", params.STAGES)
def test_a_stage_has_a_flow_and_a_task_file(stage):
    assert (ROOT / "flows" / f"{stage}.py").is_file()
    assert (ROOT / "tasks" / f"{stage}.py").is_file()


def test_the_files_of_flows_and_tasks_are_stages():
    for folder, others in (("flows", {"drill", "harden", "release"}), ("tasks", {"release"})):
        names = {path.stem for path in (ROOT / folder).glob("[!_]*.py")}
        assert names - others == set(params.STAGES)


def test_dvc_has_every_stage_but_promotion_which_changes_no_file():
    assert tuple(DVC) == tuple(stage for stage in params.STAGES if stage != "promotion")


@pytest.mark.parametrize("stage", DVC)
def test_a_dvc_stage_watches_the_sections_that_its_digest_covers(stage):
    watched = {name.removeprefix("${item}.") for name in DVC[stage]["do"]["params"]}
    assert watched == {*params.SHARED[stage], stage}


@pytest.mark.parametrize("stage", DVC)
def test_a_dvc_stage_calls_the_task_of_its_name_and_depends_on_the_code(stage):
    assert DVC[stage]["do"]["cmd"] == f"python -m tasks.{stage} ${{item}}"
    assert {"hardgate", "tasks"} <= set(DVC[stage]["do"]["deps"])


def test_models_are_listed_once_and_every_section_is_listed():
    assert sorted(PARAMS["models"]) == sorted(set(PARAMS) - {"models"})


@pytest.mark.parametrize("model", PARAMS["models"])
def test_a_model_has_valid_params_a_suite_a_data_folder_and_a_deployment(model, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert params.load(model).model == model
    assert (ROOT / "expectations" / f"{model}.json").is_file()
    assert (ROOT / "data" / model).is_dir()
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    (deployment,) = [entry for entry in deployments if entry["name"] == model]
    assert deployment["parameters"]["model"] == model
    assert deployment["concurrency_limit"]["limit"] == 1
    assert deployment["schedules"][0]["cron"]
