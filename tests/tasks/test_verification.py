"""``hardgate verify``: one changed byte fails, whatever it is in, and the list names what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hardgate.errors import IntegrityError, ParamsError
from tasks import _verification

if TYPE_CHECKING:
    from tests.conftest import Project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # MLflow's own
]


def failures(**options: int) -> list[str]:
    """Name and words of every check that does not hold."""
    checks = _verification.verify("tiny", **{"sample": 0, "seed": 1} | options)
    return [f"{check.name}: {check.words}" for check in checks if not check.passed]


def flip(path: Path) -> None:
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])


def in_registry(project: Project, name: str) -> Path:
    (found,) = (project.home / "mlflow").rglob(name)
    return found


CHANGED: dict[str, tuple[Callable[[Project], Path], str]] = {
    "the model": (lambda project: in_registry(project, "weights.safetensors"), "weights"),
    "the architecture": (lambda project: in_registry(project, "architecture.json"), "architecture"),
    "the evidence": (lambda project: in_registry(project, "evidence.dsse.json"), "evidence"),
    "the outcomes": (lambda project: in_registry(project, "outcomes.jsonl"), "outcomes"),
    "the model's signature": (lambda project: in_registry(project, "model.sig"), "signature"),
    "the data": (lambda project: project.data, "data/tiny/borrowers.csv"),
    "the test split": (lambda project: project.run("validation") / "test.safetensors", "test"),
    "the environment": (lambda project: project.root / "requirements.lock", "requirements.lock"),
}


def test_what_was_not_touched_holds(hardened: Project) -> None:
    assert failures(sample=20) == []


@pytest.mark.parametrize(("find", "named"), CHANGED.values(), ids=CHANGED)
def test_one_changed_byte_is_named(
    hardened: Project, find: Callable[[Project], Path], named: str
) -> None:
    flip(find(hardened))
    found = failures()
    assert found
    assert any(named in line for line in found), found


@pytest.mark.parametrize(
    ("written", "changed", "named"),
    [
        ("eps: 0.1 ", "eps: 0.2 ", "threat.eps"),
        ("epochs: 3", "epochs: 4", "training.epochs"),
        ("bound: 0.70", "bound: 0.69", "promotion.gates"),
    ],
)
def test_one_changed_param_is_named(
    hardened: Project, written: str, changed: str, named: str
) -> None:
    text = hardened.params.read_text()
    assert written in text
    hardened.params.write_text(text.replace(written, changed, 1))
    found = failures()
    assert any(named in line for line in found), found


def test_the_same_samples_can_be_run_again(hardened: Project) -> None:
    first, again = (
        [check.words for check in _verification.verify("tiny", sample=5, seed=9)] for _ in range(2)
    )
    assert first == again


def test_adversarial_inputs_that_were_swapped_are_found_by_running_them_again(
    hardened: Project,
) -> None:
    for path in (hardened.run("evaluation") / "attacked").iterdir():
        flip(path)
    try:
        found = failures(sample=150)
    except IntegrityError as error:
        found = [str(error)]
    assert found


def test_a_version_that_was_never_registered_is_wrong_usage(hardened: Project) -> None:
    for subject in ("tiny/99", "tiny@champion"):
        with pytest.raises(ParamsError, match=f"the registry has no {subject}"):
            _verification.verify(subject, sample=0, seed=None)
    assert _verification.verify("tiny@challenger", sample=0, seed=None)
