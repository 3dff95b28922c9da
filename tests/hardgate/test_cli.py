"""The command: quick to help, at home anywhere in a project, and honest in its exit status."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hardgate import cli, errors

if TYPE_CHECKING:
    from tests.conftest import Ended, Project

HEAVY = {"torch", "pandas", "numpy", "sklearn", "prefect", "mlflow", "dvc", "matplotlib"}

Command = Callable[..., "Ended"]


def test_help_takes_less_than_a_second_of_work() -> None:
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        words = [sys.executable, "-m", "hardgate.cli", "--help"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 1
    for word in ("harden", "verify", "report", "suite"):
        assert word in done.stdout


@pytest.mark.parametrize("name", ["harden", "verify", "report", "suite"])
def test_every_command_explains_itself(command: Command, name: str) -> None:
    ended = command(name, "--help")
    assert ended.status == 0
    assert f"{name} [OPTIONS]" in ended.out


def test_harden_tells_its_exit_statuses(command: Command) -> None:
    assert "0 promotable, 1 refused, 2 wrong usage or params, 3 could not" in " ".join(
        command("harden", "--help").out.split()
    )


def test_naming_the_command_loads_nothing_heavy() -> None:
    code = "import sys, hardgate.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hardne"], "No such command 'hardne'"),
        (["harden"], "Missing argument 'MODEL'"),
        (["harden", "tiny", "--fast"], "No such option: --fast"),
        (["verify", "tiny", "--sample", "many"], "for '--sample': Input should be a valid int"),
        (["verify", "tiny", "--sample", "-1"], "for '--sample': Input should be greater than"),
    ],
)
def test_wrong_usage_ends_with_status_2(command: Command, words: list[str], said: str) -> None:
    ended = command(*words)
    assert ended.status == 2
    assert said in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("words", [["harden", "x"], ["verify", "x"], ["report", "x"]])
def test_outside_of_a_project_nothing_happens(
    command: Command, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = command(*words)
    assert ended.status == 2
    assert ended.err == (
        f"hardgate: {tmp_path} is in no project: no folder above it has params.yaml and flows\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_project_is_found_from_below_and_left_where_it_was_entered(
    command: Command, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = project.root / "data" / "tiny"
    monkeypatch.chdir(below)
    ended = command("report", "tinny")
    assert (ended.status, ended.err) == (
        2,
        "hardgate: params.yaml has no model 'tinny'; did you mean tiny?; it has tiny\n",
    )
    assert Path.cwd() == below


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (errors.ParamsError, 2),
        (errors.DataError, 3),
        (errors.ContractError, 3),
        (errors.IntegrityError, 3),
        (errors.UnavailableError, 3),
    ],
)
def test_an_error_is_one_line_and_its_own_status(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    raised: type[errors.HardgateError],
    status: int,
) -> None:
    def app() -> None:
        raise raised("found this; expected that; do so")

    monkeypatch.setattr(cli, "app", app)
    ended = command()
    assert (ended.status, ended.err) == (status, "hardgate: found this; expected that; do so\n")


def test_a_mistake_of_ours_is_no_refusal(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", lambda: {}["unforeseen"])
    ended = command()
    assert ended.status == 3
    assert "KeyError: 'unforeseen'" in ended.err
    assert ended.err.endswith("this is a mistake in hardgate; please report the lines above\n")


def test_a_disk_that_takes_no_more_is_no_mistake_of_ours(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def app() -> None:
        with Path("/dev/full").open("wb") as full:
            full.write(b"x")

    monkeypatch.setattr(cli, "app", app)
    ended = command()
    assert ended.status == 3
    assert ended.err.startswith("hardgate: cannot write: No space left on device; make room")
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("words", [["report", "tiny"], ["verify", "tiny"]])
def test_what_was_never_made_cannot_be_shown(
    command: Command, project: Project, words: list[str]
) -> None:
    ended = command(*words)
    assert ended.status == 2
    assert "run hardgate harden tiny" in ended.err
    assert not (project.root / "runs").exists()


def test_a_subject_that_names_no_version_is_wrong_usage(command: Command, project: Project) -> None:
    ended = command("verify", "tiny/one/two")
    assert (ended.status, ended.err) == (
        2,
        "hardgate: 'tiny/one/two' is not MODEL, MODEL/VERSION or MODEL@ALIAS\n",
    )


def test_a_suite_is_drafted_once_and_replaced_by_force_alone(
    command: Command, project: Project
) -> None:
    suite = project.root / "expectations" / "tiny.json"
    committed = suite.read_text()
    ended = command("suite", "tiny")
    assert ended.status == 2
    assert "is there already; add --force" in ended.err
    assert suite.read_text() == committed
    ended = command("suite", "tiny", "--force")
    assert (ended.status, ended.err) == (0, "")
    assert "expectations/tiny.json: read it, and correct" in ended.out
    assert json.loads(suite.read_text())["name"] == "tiny"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # MLflow's own tables
def test_evidence_holds_and_a_changed_param_is_named(command: Command, hardened: Project) -> None:
    ended = command("verify", "tiny")
    assert ended.status == 0, ended.err[-1500:]
    assert " 1. ok" in ended.out
    assert ended.out.endswith("checks, all hold\n")
    text = hardened.params.read_text()
    hardened.params.write_text(text.replace("eps: 0.1", "eps: 0.11"))
    ended = command("verify", "tiny", "--json")
    assert ended.status == 1
    failed = [check for check in json.loads(ended.out) if not check["passed"]]
    assert any("threat.eps" in check["words"] for check in failed)


@pytest.mark.slow
def test_the_report_is_written_again_and_its_place_is_printed(
    command: Command, hardened: Project
) -> None:
    page = hardened.run("promotion") / "report.html"
    page.unlink()
    ended = command("report", "tiny")
    assert (ended.status, ended.out, ended.err) == (
        0,
        f"{os.path.relpath(page, hardened.root)}\n",
        "",
    )
    assert page.is_file()


def test_the_doctor_prints_a_checklist(project: Project) -> None:
    plain = project.hardgate("doctor")
    assert plain.returncode in (0, 1)
    assert "trust store: " in plain.stdout
    items = json.loads(project.hardgate("doctor", "--json").stdout)
    assert plain.returncode == int(not all(item["passed"] for item in items))
    assert (items[3]["name"], items[3]["passed"]) == ("telemetry", True)
    assert not project.home.exists()
    told = project.hardgate("doctor", env={"MLFLOW_DISABLE_TELEMETRY": "false"})
    assert told.returncode == 1
    assert "FOUND telemetry" in told.stdout
    lonely = project.hardgate("doctor", "--source", "x")
    assert (lonely.returncode, "add --update" in lonely.stderr) == (2, True)
    empty = project.hardgate("doctor", "--update", "--source", "data")
    assert empty.returncode == 3
    assert "has no dated entry" in empty.stderr
