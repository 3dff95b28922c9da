"""Bad input at the doors: what was found, what to do, the right status, and nothing half written.

The library's tests look at each error where it arises; these look at it where a user meets it.
"""

from __future__ import annotations

import csv
import gzip
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors
import yaml

from hardgate import checkpoints, provenance, state
from hardgate.checkpoints import Journey
from hardgate.monitors import Epoch
from hardgate.records import Decision

if TYPE_CHECKING:
    from tests.conftest import Ended, Project

USAGE, REFUSED, FAILED = 2, 1, 3

Door = Callable[["Project", str], "Ended"]
Command = Callable[..., "Ended"]


def contents(project: Project) -> dict[str, str]:
    """Digest every file of the project that is not the run's own."""
    return {
        str(path.relative_to(project.root)): provenance.sha256_file(path)
        for folder in ("data", "expectations", "params.yaml")
        for path in (project.root / folder, *(project.root / folder).rglob("*"))
        if path.is_file()
    }


def change_params(project: Project, change: Callable[[Any], object]) -> None:
    document = yaml.safe_load(project.params.read_text())
    change(document["tiny"])
    project.params.write_text(yaml.safe_dump(document))


def setting(key: str, value: Any) -> Callable[[Project], None]:
    *sections, last = key.split(".")

    def break_it(project: Project) -> None:
        def change(place: Any) -> None:
            for section in sections:
                place = place[section]
            place[last] = value

        change_params(project, change)

    return break_it


def cell(row: int, column: str, value: object) -> Callable[[Project], None]:
    def break_it(project: Project) -> None:
        frame = project.frame().astype({column: object})
        frame.loc[row, column] = value
        frame.to_csv(project.data, index=False)

    return break_it


def without_target(project: Project) -> None:
    project.frame().drop(columns="late").to_csv(project.data, index=False)


def single_class(project: Project) -> None:
    project.frame().assign(late=1).to_csv(project.data, index=False)


def slip_in_a_label(project: Project) -> None:
    text = project.data.read_text().splitlines()
    text[9] = text[9][:-1] + "11"
    project.data.write_text("\n".join(text))


def missing_file(project: Project) -> None:
    project.data.unlink()


def missing_folder(project: Project) -> None:
    elsewhere = project.root / "borrowers.csv"
    project.data.rename(elsewhere)
    project.data.parent.rmdir()
    digest = provenance.sha256_file(elsewhere)
    setting("dataset.path", elsewhere.as_uri())(project)
    setting("dataset.sha256", digest)(project)


def truncated_gz(project: Project) -> None:
    packed = project.data.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(project.data.read_bytes())[:-200])
    setting("dataset.path", "data/tiny/borrowers.csv.gz")(project)


def pictures(*, tested: int = 60, magic: bytes = b"\0\0\x08") -> Callable[[Project], None]:
    """Turn the model into one of 8 x 8 pictures in the MNIST format."""

    def break_it(project: Project) -> None:
        draws = np.random.default_rng(0)
        sources = {}
        for split, count in (("train", 200), ("test", tested)):
            labels = np.arange(count, dtype=np.uint8) % 2
            images = draws.integers(0, 255, (count, 8, 8), dtype=np.uint8)
            for kind, array in (("images", images), ("labels", labels)):
                name = f"data/tiny/{split}-{kind}"
                shape = b"".join(size.to_bytes(4, "big") for size in array.shape)
                head = magic + bytes([array.ndim])
                (project.root / name).write_bytes(head + shape + array.tobytes())
                sources[f"{split}_{kind}"] = {"path": name}

        def change(tiny: Any) -> None:
            tiny["dataset"] = {"kind": "idx", **sources}
            tiny["threat"] = {"norm": "Linf", "eps": 0.1, "access": "white-box", "queries": 20}
            del tiny["validation"]["test"]

        change_params(project, change)
        (project.root / "expectations" / "tiny.json").write_text(
            '{"name": "tiny", "expectations": [{"type": "expect_column_values_to_be_in_set", '
            '"kwargs": {"column": "hardgate_copy_across_splits", "value_set": [false]}, '
            '"notes": "A test image that was trained on tests nothing."}]}'
        )

    return break_it


def too_far_for_pixels(project: Project) -> None:
    pictures()(project)
    setting("threat.eps", 77)(project)  # of 255, but pixels are read as 0 to 1


BAD = {
    "misspelt key": (
        setting("threat.epz", 0.1),
        USAGE,
        "params.yaml: tiny.threat.epz is not a known key; did you mean tiny.threat.eps?",
    ),
    "wrong type": (
        setting("training.epochs", "many"),
        USAGE,
        "tiny.training.epochs = 'many': Input should be a valid integer",
    ),
    "wrong range": (
        setting("threat.eps", -0.1),
        USAGE,
        "tiny.threat.eps = -0.1: Input should be greater than 0",
    ),
    "eps beyond the data's range": (
        too_far_for_pixels,
        USAGE,
        r"threat.eps: 77.0 covers the whole pixel range \[0, 1\]; write 77/255",
    ),
    "missing file": (
        missing_file,
        USAGE,
        "data/tiny/borrowers.csv is not there; a file below the project root was expected",
    ),
    "missing folder": (missing_folder, USAGE, "data/tiny/ is missing: make it, with a note"),
    "digest mismatch": (
        setting("dataset.sha256", "0" * 64),
        FAILED,
        "data/tiny/borrowers.csv has SHA-256 [0-9a-f]{64}, expected 0{64}: .*restore it",
    ),
    "truncated gz": (truncated_gz, FAILED, "data/tiny/borrowers.csv.gz .*cut off"),
    "wrong IDX magic": (pictures(magic=b"\0\1\x08"), FAILED, "data/tiny/train-images .*IDX"),
    "missing target": (
        without_target,
        USAGE,
        "dataset.target names 'late', but the table has no such column; it has income, debt",
    ),
    "non-numeric cell": (
        cell(4, "debt", "none"),
        FAILED,
        "data/tiny/borrowers.csv: column 'debt': 'none' is not a number; correct it.* .row 4",
    ),
    "NaN": (
        cell(6, "income", None),
        REFUSED,
        r"expect_column_values_to_not_be_null of income in row 6: missing",
    ),
    "infinity": (cell(8, "debt", np.inf), FAILED, "column 'debt': 'inf' is infinite.* .row 8"),
    "single class": (single_class, FAILED, r"'late' holds 1 class\(es\) \(1\) in all rows"),
    "a label with a slip": (
        slip_in_a_label,
        FAILED,
        r"class '(11|01)' of 'late' has 1 distinct row\(s\) \(row 8, .*correct the label",
    ),
    "empty split": (
        pictures(tested=0),
        FAILED,
        "data/tiny/test-images is empty: .*every split needs",
    ),
    "unknown category": (
        cell(5, "region", "atlantis"),
        REFUSED,
        r"expect_column_values_to_be_in_set of region in row 5: atlantis",
    ),
    "an immutable column that is attacked": (
        setting("threat.columns.age", {"min": 18}),
        USAGE,
        "tiny.threat lets an attacker change age, which is immutable by dataset.immutable",
    ),
    "a relation of unknown columns": (
        setting("threat.relations", ["debt <= wealth"]),
        USAGE,
        "names the unknown column 'wealth'",
    ),
}


@pytest.mark.parametrize(("break_it", "status", "said"), BAD.values(), ids=BAD)
def test_the_first_stage_says_what_is_wrong_and_leaves_nothing_that_counts(
    project: Project,
    door: Door,
    break_it: Callable[[Project], None],
    status: int,
    said: str,
) -> None:
    break_it(project)
    before = contents(project)
    ended = door(project, "validation")
    assert ended.status == status, ended.err
    assert re.search(said, ended.err, re.DOTALL), ended.err
    assert "Traceback" not in ended.err
    assert not (project.run("validation") / "record.json").exists()
    assert contents(project) == before


def test_an_unknown_model_is_answered_with_the_nearest(command: Command, project: Project) -> None:
    ended = command("harden", "tinny")
    assert (ended.status, ended.err) == (
        USAGE,
        "hardgate: params.yaml has no model 'tinny'; did you mean tiny?; it has tiny\n",
    )
    assert not (project.root / "runs").exists()


def stage(project: Project, name: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run one stage as DVC does."""
    return subprocess.run(
        [sys.executable, "-m", f"tasks.{name}", "tiny"],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def test_a_full_disk_is_named_and_leaves_no_record(project: Project) -> None:
    def fill_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = stage(project, "validation", preexec_fn=fill_disk)
    assert done.returncode == FAILED
    assert "cannot write" in done.stderr
    assert "make room" in done.stderr
    assert not (project.run("validation") / "record.json").exists()
    assert stage(project, "validation").returncode == 0
    assert (project.run("validation") / "record.json").exists()


def test_a_state_folder_that_cannot_be_written_is_named(project: Project) -> None:
    done = project.hardgate("harden", "tiny", env={"HARDGATE_HOME": "/proc/hardgate"})
    assert done.returncode == FAILED
    assert done.stderr.startswith("hardgate: ")
    assert "/proc/hardgate" in done.stderr
    assert not (project.root / "runs").exists()


def test_two_runs_of_one_model_at_once_are_one_too_many(project: Project) -> None:
    with state.exclusive("tiny"):
        done = project.hardgate("harden", "tiny")
    assert done.returncode == FAILED
    assert f"another run of tiny is under way (process {os.getpid()})" in done.stderr
    assert not (project.root / "runs").exists()


@pytest.mark.parametrize("variable", ["MLFLOW_TRACKING_URI", "PREFECT_API_URL"])
def test_a_server_that_does_not_answer_is_named_before_the_work(
    project: Project, variable: str
) -> None:
    nobody = "http://127.0.0.1:9" + ("/api" if variable == "PREFECT_API_URL" else "")
    done = project.hardgate("harden", "tiny", env={variable: nobody})
    assert done.returncode == FAILED, done.stderr
    assert "127.0.0.1:9" in done.stderr
    assert variable in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project.root / "runs").exists()


LONG = 30  # epochs: time enough to be killed after the first and before the last


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_end_of_an_unbroken_one(
    project: Project, tmp_path: Path
) -> None:
    setting("training.epochs", LONG)(project)
    setting("training.early_stopping.patience", LONG)(project)
    setting("training.overfitting", {"catastrophic": 1, "robust": 1, "evaluations": LONG})(project)
    unbroken = type(project)(tmp_path / "unbroken")
    shutil.copytree(project.root, unbroken.root, symlinks=True)
    before = killed_in_training(project)
    assert 0 < len(before) < LONG
    done = project.hardgate("harden", "tiny", "--json")
    assert done.returncode in {0, REFUSED}, done.stderr
    assert "validation: up to date" in done.stderr
    with (project.run("training") / "history.csv").open(newline="") as file:
        lasted = [float(row["seconds"]) for row in csv.DictReader(file)]
    assert len(lasted) == LONG
    assert lasted[: len(before)] == [epoch.seconds for epoch in before]  # not trained again
    whole = unbroken.hardgate("harden", "tiny", "--json")
    assert whole.returncode == done.returncode, whole.stderr
    findings = [Decision.model_validate_json(run.stdout).findings for run in (done, whole)]
    assert findings[0] == findings[1]


def killed_in_training(project: Project) -> tuple[Epoch, ...]:
    """Harden, and kill the run as soon as it has left a checkpoint; give the epochs in it."""
    checkpoint = project.home / "checkpoints" / "tiny.safetensors"
    with project.start("harden", "tiny") as process:
        deadline = time.monotonic() + 300
        while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said
    with safetensors.safe_open(checkpoint, framework="pt") as file:
        return Journey.model_validate_json(file.metadata()[checkpoints.HEADER]).history


@contextmanager
def flipped(path: Path) -> Iterator[None]:
    """Change one byte in the middle of a file, and change it back."""
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    try:
        yield
    finally:
        path.write_bytes(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "next_stage", "advice"),
    [
        ("validation/train.safetensors", "augmentation", "run the stage that writes it again"),
        ("augmentation/train.safetensors", "training", "run the stage that writes it again"),
        ("training/model/weights.safetensors", "evaluation", "run the training stage again"),
    ],
)
def test_a_damaged_file_of_an_earlier_stage_is_named(
    hardened: Project, door: Door, file: str, next_stage: str, advice: str
) -> None:
    with flipped(hardened.root / "runs" / "tiny" / file):
        ended = door(hardened, next_stage)
    assert ended.status == FAILED
    assert f"runs/tiny/{file}" in ended.err
    assert advice in ended.err


@pytest.mark.slow
def test_a_damaged_record_is_named(hardened: Project, door: Door) -> None:
    record = hardened.run("training") / "record.json"
    record.write_text(record.read_text()[:-30])
    ended = door(hardened, "evaluation")
    assert ended.status == FAILED
    assert "runs/tiny/training/record.json" in ended.err


def test_a_damaged_checkpoint_is_named_with_the_way_out(project: Project, door: Door) -> None:
    project.stages(until="augmentation")
    checkpoint = state.room("checkpoints") / "tiny.safetensors"
    checkpoint.write_bytes(b"\x10" + b"\0" * 40)
    ended = door(project, "training")
    assert ended.status == FAILED
    assert str(checkpoint.name) in ended.err
    assert "delete it" in ended.err
    assert not (project.run("training") / "record.json").exists()
    checkpoint.unlink()
    assert door(project, "training").status == 0


@pytest.mark.slow
def test_a_signing_key_that_others_can_read_stops_the_run_before_the_work(
    hardened: Project,
) -> None:
    key = hardened.home / "keys" / "evidence.pem"
    key.chmod(0o644)
    done = hardened.hardgate("harden", "tiny", "-S", "tiny.seed=8")
    assert done.returncode == FAILED
    assert "keys/evidence.pem" in done.stderr
    assert "chmod 600" in done.stderr
    assert "training" not in done.stderr
