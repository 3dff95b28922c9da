"""One setting, all stages: no file of a run holds a row that anybody but the key's owner reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hardgate import params as settings
from hardgate import protection
from hardgate.errors import ParamsError
from tasks import _store

pytestmark = pytest.mark.slow  # Prefect takes its time to import


def test_every_stage_writes_rows_for_the_recipient_alone(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = protection.make_identity(tmp_path / "keys" / "identity.txt")
    monkeypatch.setenv(protection.IDENTITY, str(tmp_path / "keys" / "identity.txt"))
    made = protection.protect(project.data, [public]).relative_to(project.root)
    with pytest.raises(ParamsError, match="is not encrypted"):
        settings.override("tiny", [f"tiny.dataset.encrypt_to=[{public}]"])
        project.stage("validation")
    project.data.unlink()
    settings.override("tiny", [f"tiny.dataset.path={made.as_posix()}"])
    project.stages(until="evaluation")

    written = [path for path in Path("runs").rglob("*") if path.is_file()]
    held = {path for path in written if path.suffix == ".safetensors"}
    held -= {path for path in held if "model" in path.parts}  # the weights, which are served
    assert len(held) >= 8
    assert {path for path in held if not protection.is_encrypted(path)} == set()
    rows = [row.numpy().tobytes() for row in _store.split(_store.dataset("tiny").test).inputs[:20]]
    for path in written:
        assert not any(row in path.read_bytes() for row in rows), path
