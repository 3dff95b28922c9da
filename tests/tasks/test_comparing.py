"""A comparison leaves the workspace alone, loses nothing to a failure, and goes on after a kill."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hardgate import measurements, statistics
from hardgate.comparison import Comparison
from hardgate.privacy import accounting
from tasks import _comparing

if TYPE_CHECKING:
    from tests.conftest import Project

GRID = """
  compare:
    candidates:
      - {name: plain, training: {defense: {recipe: standard}, epochs: 1}}
      - {name: unprovable, training: {architecture: {name: ft-transformer, width: 8, heads: 2}}}
      - {name: as-it-is}
"""


FLIPS = "- {kind: negative_flips, under_attack: true, bound: 0.1, min_samples: 100}"


@pytest.fixture
def grid(project: Project) -> Project:
    with project.params.open("a", encoding="utf-8") as stream:
        stream.write(GRID.removeprefix("\n"))
    contract = "- {kind: data_contract, min_samples: 100}"
    changed(project, contract, f"{contract}\n      {FLIPS}")
    return project


def names() -> list[str]:
    return [one.experiment for one in _comparing._entries("tiny", Path())[2]]


def changed(project: Project, old: str, new: str) -> None:
    text = project.params.read_text(encoding="utf-8")
    assert text.count(old) == 1
    project.params.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs: 3", "epochs: 4"),
        ("eps: 0.1", "eps: 0.2"),
        ("seed: 7", "seed: 8"),
        ("path_steps: 8", "path_steps: 9"),
    ],
    ids=["training", "threat", "seed", "explanation"],
)
def test_other_params_are_other_experiments(grid: Project, old: str, new: str) -> None:
    before = names()
    changed(grid, old, new)
    assert not set(before) & set(names())


def test_other_code_or_data_are_other_experiments(grid: Project) -> None:
    before = names()
    with (grid.root / "hardgate" / "quality.py").open("a") as stream:
        stream.write("# changed\n")
    code = names()
    with grid.data.open("a") as stream:
        stream.write("1,1,30,north,0\n")
    assert len({*before, *code, *names()}) == 9


def test_a_change_of_one_candidate_leaves_the_others_their_names(grid: Project) -> None:
    before = names()
    changed(grid, "epochs: 1}", "epochs: 2}")
    assert [old == new for old, new in zip(before, names(), strict=True)] == [False, True, True]


def test_another_policy_needs_no_other_experiment(grid: Project) -> None:
    before = names()
    changed(grid, "valid_days: 30", "valid_days: 20")
    assert names() == before


def test_a_model_without_candidates_is_wrong_params(project: Project, command) -> None:
    ended = command("compare", "tiny")
    assert ended.status == 2
    assert "tiny.compare is missing; name two candidates" in ended.err


def test_an_unknown_model_is_wrong_usage(project: Project, command) -> None:
    ended = command("compare", "tinny")
    assert ended.status == 2
    assert "did you mean tiny" in ended.err


@pytest.mark.parametrize("private", [True, False])
def test_a_row_has_the_epsilon_of_a_private_candidate_alone(grid: Project, private: bool) -> None:
    entry = _comparing._entries("tiny", Path())[2][0]
    found = {
        measurements.clean("auc"): statistics.exact(0.9, 100),
        measurements.robust(measurements.WORST_CASE, "auc"): statistics.exact(0.8, 100),
        measurements.membership("lira", "auc"): statistics.exact(0.6, 100),
        measurements.membership("lira", "tpr_at_1_percent"): statistics.exact(0.02, 100),
    }
    if private:
        spent = accounting.Spent(noise=2.0, rate=0.1, steps=50, delta=1e-5)
        found |= accounting.measured(spent, rows=100)
    made = SimpleNamespace(architecture="mlp", recipe="pgd", weights=9, epochs=3, seconds=1.0)
    data = SimpleNamespace(input=SimpleNamespace(classes=("0", "1")))
    measured: Any = SimpleNamespace(entry=entry, candidate=made, dataset=data, found=found)
    row = _comparing._row(measured, "auc", 2.0)
    assert (row.epsilon, row.delta) == (
        found.get(measurements.EPSILON),
        found.get(measurements.DELTA),
    )
    assert (row.epsilon is not None) is private
    assert row.changes == ("defense", "epochs")
    assert row.membership is not None and row.membership.value == 0.6
    assert row.named is not None and row.named.value == 0.02


def test_a_second_comparison_waits_for_the_first(grid: Project, command) -> None:
    from hardgate import state

    with state.locked("compare.tiny.lock", busy="", advice=""):
        ended = command("compare", "tiny")
    assert ended.status == 3
    assert f"a comparison of tiny is under way (process {os.getpid()})" in ended.err


def contents(root: Path) -> dict[str, bytes]:
    """Everything a person sees in the workspace but what the comparison writes."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and not {".git", ".dvc", ".hardgate", "__pycache__"} & set(path.parts)
        and not path.is_relative_to(root / "runs" / "tiny" / "compare")
    }


def ended_in_the_second(grid: Project, how: int) -> str:
    """Start a comparison, and end it while its second candidate runs; give what it said."""
    said = []
    with grid.start("compare", "tiny") as process:
        for line in process.stderr:
            said.append(line)
            if line.startswith("unprovable (2 of 3)"):
                time.sleep(1)
                process.send_signal(how)
                break
        assert process.wait(120) != 0
    return "".join(said)


def compared(grid: Project, patience: float = 300) -> tuple[Comparison, str]:
    """Compare, once the rest of a killed comparison has ended."""
    deadline = time.monotonic() + patience
    while True:
        done = grid.hardgate("compare", "tiny", "--json", timeout=900)
        if "is under way" not in done.stderr:
            break
        assert time.monotonic() < deadline
        time.sleep(2)
    assert done.returncode == 3, done.stderr
    return Comparison.model_validate_json(done.stdout), done.stderr


@pytest.mark.slow
def test_a_comparison_goes_on_where_it_was_ended_and_leaves_the_workspace(grid: Project) -> None:
    before, status = contents(grid.root), grid.git("status", "--porcelain")
    assert "plain (1 of 3)\n" in ended_in_the_second(grid, signal.SIGINT)
    assert contents(grid.root) == before
    assert not (grid.home / "compare" / "tiny" / "project").exists()
    assert "plain (1 of 3): up to date" in ended_in_the_second(grid, signal.SIGKILL)
    assert contents(grid.root) == before
    found, said = compared(grid)
    assert contents(grid.root) == before
    assert grid.git("status", "--porcelain") == status
    assert "plain (1 of 3): up to date" in said
    assert [(one.name, one.reason.partition(" (")[0]) for one in found.failed] == [
        ("unprovable", "a layer of kind Tokenizer cannot be bounded")
    ]
    assert [one.name for one in found.candidates] == ["plain", "as-it-is"]
    assert set(found.frontier) <= {"plain", "as-it-is"}
    plain, hardened = found.candidates
    assert (plain.recipe, plain.passes, plain.epochs) == ("standard", 2, 1)
    assert (hardened.recipe, hardened.passes, hardened.epochs) == ("pgd", 6, 3)
    assert plain.microseconds == hardened.microseconds  # one architecture
    assert len(plain.findings) == 6
    assert "unmeasured" not in {finding.verdict.value for finding in plain.findings}
    shown = json.loads((grid.run("compare") / "comparison.json").read_text(encoding="utf-8"))
    assert shown == json.loads(found.model_dump_json())
    assert "compare-tiny-plain" in grid.git("for-each-ref", "refs/exps")
    _applied(grid, hardened.experiment)


def _applied(grid: Project, experiment: str) -> None:
    """Take a candidate over: its stages are then up to date."""
    from dvc.repo import Repo

    with Repo(str(grid.root)) as repository:
        repository.experiments.apply(experiment)
    with Repo(str(grid.root)) as repository:
        assert repository.status(targets=["training@tiny", "evaluation@tiny"]) == {}
