"""``hardgate waive``: one gate, one model digest, a reason, a name and an end; and no more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hardgate.errors import ParamsError
from hardgate.evidence import waivers
from tasks import _registry, _verification, _waiving
from tests.conftest import copy_project, enter

if TYPE_CHECKING:
    from tests.conftest import Ended, Project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # MLflow's own
]

GATE = "robust_auc/worst_case"
REASON = "the bound is lowered next week; see the risk log"


@pytest.fixture(scope="module")
def _refused(tmp_path_factory: pytest.TempPathFactory, _hardened: Project) -> Project:
    project = copy_project(_hardened, tmp_path_factory.mktemp("refused") / "project")
    text = project.params.read_text()
    project.params.write_text(text.replace("bound: 0.60", "bound: 0.999", 1))
    done = project.hardgate("harden", "tiny")
    assert done.returncode == 1, done.stderr
    return project


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _refused: Project) -> Project:
    """A project whose last version was refused by one gate."""
    copy = copy_project(_refused, tmp_path / "project")
    enter(copy, monkeypatch)
    return copy


def decision() -> tuple[bool, str]:
    (found,) = (c for c in _verification.verify("tiny", sample=0, seed=1) if c.name == "decision")
    return found.passed, found.words


def test_a_waiver_lets_the_version_hold_for_its_time(
    refused: Project, command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert decision()[0] is False
    done = command("waive", "tiny", GATE, "--reason", REASON, "--by", "ivan", "--days", "7")
    assert done.status == 0, done.err
    end = datetime.now(UTC) + timedelta(days=7)
    line = f"{GATE} until {end:%Y-%m-%d}, by ivan: {REASON}"
    assert f"waived {line}" in done.out
    assert decision() == (True, f"refused; waived: {line}")
    version = _verification.find("tiny")
    assert _registry.tags(version)["gate.waived"] == line
    for path in (refused.home / "waivers").glob("*.json"):
        path.write_bytes(path.read_bytes().replace(b"payload", b"Payload"))
    assert decision()[0] is False


@pytest.mark.parametrize(
    ("gate", "options", "words"),
    [
        (GATE, {"by": None}, "submitted tiny/2; a second pair of eyes"),
        ("clean_quality/auc", {}, f"did not refuse tiny/2; those that did: {GATE}"),
        (GATE, {"days": 0}, "--days 0: expected 1 to 365"),
        (GATE, {"days": 366}, "--days 366: expected 1 to 365"),
        (GATE, {"reason": "  trust   "}, "--reason: expected at least 10 characters"),
    ],
    ids=["the submitter", "a gate that passed", "no time", "too long", "no reason"],
)
def test_what_cannot_be_waived_is_said(
    refused: Project, gate: str, options: dict[str, object], words: str
) -> None:
    asked: dict[str, object] = {"reason": REASON, "days": 7, "by": "ivan", **options}
    with pytest.raises(ParamsError) as raised:
        _waiving.waive("tiny", gate, **asked)  # type: ignore[arg-type]
    assert words in str(raised.value)
    assert not [*(refused.home / "waivers").glob(f"*{waivers.ENDING}")]
