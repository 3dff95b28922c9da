"""Release: a champion is looked at again where it will be used, and marked released or withdrawn.

The registry judged the approval; this looks at the result, from outside: the evidence once more,
the model's files, and whether a clean process can load the model and gives the answers that were
recorded when it was tested.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from hardgate import provenance, state
from hardgate.errors import HardgateError, IntegrityError
from hardgate.evidence import differences, signing, statement
from hardgate.evidence.statement import Predicate
from hardgate.records import Record
from tasks import _registry, _versions
from tasks._registry import Version

TOLERANCE = 1e-4  # of a probability, between two hosts' arithmetic
PATIENCE = 300  # seconds for loading and predicting
RELEASED, WITHDRAWN = "released", "withdrawn"
# What a serving host needs of the environment; nothing that opens a registry.
KEPT = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TMPDIR")


class Release(Record):
    """What was found about one champion."""

    model: str
    version: str
    released: bool
    words: str


@task(cache_policy=NO_CACHE, persist_result=False)
def sign_in() -> None:
    """Speak to the registry of this machine as the watcher, whoever started the process."""
    from hardgate.server import control

    control.join_as_watcher()


@task(cache_policy=NO_CACHE, persist_result=False)
def find(model: str) -> tuple[Version, ...]:
    """Find what is in production and was not looked at since its approval."""
    return tuple(version for version in _registry.in_production(model) if _is_new(version))


def _is_new(version: Version) -> bool:
    tags = _registry.tags(version)
    approved = tags.get("approval.audit", "")
    return not approved or tags.get("release.approval") != approved


@task(cache_policy=NO_CACHE, persist_result=False)
def look(version: Version) -> Release:
    """Verify the evidence, the files and the answers of a champion; what it finds is no error."""
    folder = state.room("releases") / version.name
    shutil.rmtree(folder, ignore_errors=True)
    try:
        words = _verify(version, folder)
    except (HardgateError, OSError, ValueError, subprocess.SubprocessError) as error:
        return Release(
            model=version.name, version=version.version, released=False, words=str(error)
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Release(model=version.name, version=version.version, released=True, words=words)


@task(cache_policy=NO_CACHE, persist_result=False)
def act(version: Version, found: Release) -> None:
    """Mark the version; the registry takes one that is withdrawn out of production, no other."""
    status = RELEASED if found.released else WITHDRAWN
    _registry.mark(version, {"release.status": status, "release.words": found.words})


def _verify(version: Version, folder: Path) -> str:
    evidence = _registry.fetch_files(version.run_id, _versions.EVIDENCE_FOLDER, folder)
    content = (evidence / _versions.EVIDENCE).read_bytes()
    signed = signing.verify(content, trusted=state.room("keys") / "trusted")
    predicate = statement.read(signed.payload).predicate
    entry = _versions.entry(version)
    differences.refuse(
        differences.of_values(predicate.registry.model_dump(), entry.model_dump(), "registry")
    )
    model = _registry.fetch_model(version, folder / "model")
    differences.refuse(differences.of_directory(predicate.files, model))
    answers = _canary(model)
    _same(predicate, answers)
    return (
        f"evidence {provenance.sha256_bytes(content)[:12]} holds, {len(predicate.files)} files "
        f"are as tested, {len(answers)} recorded answers came again"
    )


def _canary(model: Path) -> list[list[float]]:
    """Let a clean process load the model and predict its example."""
    environment: Mapping[str, str] = {
        name: os.environ[name] for name in KEPT if name in os.environ
    } | {"MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-m", "hardgate.registry.canary", str(model.resolve())],
        env=dict(environment),
        cwd=model,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise IntegrityError(
            "a clean process could not load the model and predict its example: "
            f"{said[-1] if said else f'status {done.returncode}'}"
        )
    answers: list[list[float]] = json.loads(done.stdout)
    return answers


def _same(predicate: Predicate, answers: list[list[float]]) -> None:
    recorded = np.asarray(predicate.predictions, dtype=np.float64)
    found = np.asarray(answers, dtype=np.float64)
    if recorded.size == 0:
        raise IntegrityError("the evidence records no answers to compare with; harden it again")
    if recorded.shape != found.shape or not np.allclose(recorded, found, rtol=0, atol=TOLERANCE):
        apart = (
            f"by up to {np.abs(recorded - found).max():.3g}"
            if recorded.shape == found.shape
            else f"in shape, {found.shape} for {recorded.shape}"
        )
        raise IntegrityError(f"the model's answers differ from the recorded ones {apart}")
