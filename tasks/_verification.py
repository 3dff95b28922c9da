"""Gather what ``hardgate verify`` compares: files of the project, and the registry's entry."""

from __future__ import annotations

import re
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

import torch

from hardgate import candidates, gates, params, params_file, records, region, state
from hardgate.errors import IntegrityError, ParamsError
from hardgate.evidence import verification, waivers
from hardgate.evidence.spotcheck import Material
from hardgate.evidence.verification import Check, Ground, Spot
from hardgate.params import Params
from hardgate.records import Decision
from tasks import _history, _registry, _store, _versions, promotion
from tasks._registry import Version

SUBJECT = re.compile(r"(?P<model>[^/@]+)(?:/(?P<version>[0-9]+)|@(?P<alias>[^/@]+))?")


def verify(subject: str, *, sample: int, seed: int | None) -> tuple[Check, ...]:
    """Check the evidence of ``MODEL``, ``MODEL/VERSION`` or ``MODEL@ALIAS``.

    A model alone means the version of its last decision. The model's bytes, the evidence and the
    outcomes are those that the registry gives; data, params and policy are this project's.

    Raises
    ------
    ParamsError
        If the subject names nothing that can be checked.
    """
    version = find(subject)
    model = version.name
    settings = params.load(model)
    folder = state.room("verification") / model
    shutil.rmtree(folder, ignore_errors=True)
    evidence = _registry.fetch_files(version.run_id, _versions.EVIDENCE_FOLDER, folder)
    directory = _registry.fetch_model(version, folder / "model")
    ground = Ground(
        evidence=evidence / _versions.EVIDENCE,
        trusted=state.room("keys") / "trusted",
        model=model,
        directory=directory,
        model_signature=evidence / promotion.SIGNATURE,
        root=_store.ROOT,
        params=records.to_plain(settings),
        threat=records.to_plain(settings.threat),
        policy=records.to_plain(settings)["promotion"]["gates"],
        dvc_lock=_history.locked(model),
        commit=_store.commit(),
        outcomes=evidence / "outcomes.jsonl",
        registry=_versions.entry(version),
        judge=lambda measured: gates.decide(settings.promotion.gates, measured),
        now=datetime.now(UTC),
        waivers=state.room(waivers.ROOM),
        spot=_spot(settings, directory, sample, seed) if sample else None,
    )
    return verification.verify(ground)


def find(subject: str) -> Version:
    """Find ``MODEL``, ``MODEL/VERSION`` or ``MODEL@ALIAS``; alone it is that of the last decision.

    Raises
    ------
    ParamsError
        If it names nothing that the registry knows.
    """
    parts = SUBJECT.fullmatch(subject)
    if parts is None:
        raise ParamsError(f"{subject!r} is not MODEL, MODEL/VERSION or MODEL@ALIAS")
    params_file.check_model(parts["model"])
    return _version(parts["model"], parts["version"], parts["alias"])


def _version(model: str, number: str | None, alias: str | None) -> Version:
    if number is None and alias is None:
        path = _store.directory(model, promotion.STAGE) / promotion.DECISION
        if not path.is_file():
            raise ParamsError(
                f"{path} is missing: {model} has no decision here yet; run hardgate harden {model},"
                f" or name a version as {model}/1"
            )
        number = records.read(Decision, path).version
        if number is None:
            raise ParamsError(
                f"the last decision refused the data of {model}; no version was registered"
            )
    found = _registry.find(model, version=number, alias=alias)
    if found is None:
        raise ParamsError(
            f"the registry has no {model}{f'/{number}' if number else f'@{alias}'}; "
            f"it is asked at {_registry.place()}"
        )
    return found


def _spot(settings: Params, directory: Path, sample: int, seed: int | None) -> Spot:
    """Say what to run again; the choice is fresh unless a seed repeats one."""
    return Spot(
        material=lambda: _material(settings, directory),
        samples=sample,
        seed=secrets.randbits(32) if seed is None else seed,
    )


def _material(settings: Params, directory: Path) -> Material:
    """Gather what outcomes are run again with, once the checks before have held or not."""
    dataset, evaluation = _store.dataset(settings.model), _store.evaluation(settings.model)
    with_test = _store.ROOT / dataset.test.path
    if not with_test.is_file():
        raise IntegrityError(f"{with_test} is missing; the spot check needs the test split")
    return Material(
        predict=candidates.load(_versions.weights(directory), torch.device("cpu")),
        test=with_test,
        attacked={name: file.path for name, file in evaluation.adversarial.items()},
        region=region.build(settings.threat, dataset.input),
    )
