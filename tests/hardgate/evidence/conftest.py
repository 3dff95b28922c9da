"""A small but whole piece of evidence on disk: model, data, outcomes, signatures, statement."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from hardgate import provenance, region
from hardgate import samples as sample_files
from hardgate.evidence import (
    model_signature,
    outcomes,
    recomputation,
    signing,
    spotcheck,
    statement,
    verification,
)
from hardgate.records import FileRecord, Finding, ImageInput, Measurement, Verdict
from hardgate.samples import Samples
from hardgate.threat import Threat

SEED = 7
COUNT = 40
EPS = 0.2
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
PARAMS = {"seed": SEED, "threat": {"norm": "Linf", "eps": EPS}, "training": {"epochs": 3}}
WEIGHT = torch.tensor([[1.0, -1.0, 1.0, -1.0]])


def predict(inputs: Tensor) -> Tensor:
    """A linear model of two classes over four pixels."""
    score = 8 * inputs.flatten(1) @ WEIGHT.T
    return torch.cat([-score, score], 1)


def judge(measurements: Mapping[str, Measurement]) -> tuple[Finding, ...]:
    observed = measurements["robust/worst_case/accuracy"]
    verdict = Verdict.PASSED if observed.lower >= 0.05 else Verdict.FAILED
    return (
        Finding(
            gate="robust_accuracy/worst_case",
            verdict=verdict,
            observed=observed,
            bound=0.05,
            condition="lower end at least 0.05",
            message="docs/gates.md#robust-accuracy",
        ),
    )


@dataclass(frozen=True)
class Case:
    """Everything a test may tamper with, and the ground to verify it on."""

    ground: verification.Ground
    predicate: statement.Predicate
    private: Path

    def verify(self) -> tuple[verification.Check, ...]:
        return verification.verify(self.ground)

    def failed(self) -> dict[str, str]:
        return {check.name: check.words for check in self.verify() if not check.passed}

    def signed_again(self, **changes: Any) -> Case:
        """Sign a changed predicate with the trusted key, as a forger inside would."""
        predicate = statement.Predicate.model_validate(
            {**dict(self.predicate), **changes}, strict=False
        )
        sign_statement(predicate, self.ground.evidence, self.private, self.ground.trusted)
        return replace(self, predicate=predicate)

    def on(self, **changes: Any) -> Case:
        return replace(self, ground=replace(self.ground, **changes))


def sign_statement(
    predicate: statement.Predicate, path: Path, private: Path, trusted: Path
) -> None:
    signer = signing.open_signer(f"file2:{private}", trusted=trusted)
    path.write_bytes(signing.sign(statement.payload(statement.state(predicate)), signer))


def answer(inputs: Tensor, labels: np.ndarray, known: np.ndarray | None = None) -> Any:
    probabilities = predict(inputs).softmax(1).numpy()
    return outcomes.answers(
        inputs.numpy(),
        predictions=probabilities.argmax(1),
        probabilities=probabilities,
        labels=labels,
        known=known,
    )


@pytest.fixture
def make_case() -> Callable[[Path], Case]:
    return build


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return build(tmp_path_factory.mktemp("evidence"))


@pytest.fixture
def case(untouched: Case, tmp_path: Path) -> Case:
    """A copy of the evidence, to be tampered with."""
    root = tmp_path / "case"
    shutil.copytree(untouched.ground.root, root)
    return moved(untouched, root)


def moved(case: Case, root: Path) -> Case:
    def there(path: Path) -> Path:
        return root / path.relative_to(case.ground.root)

    ground, material = case.ground, case.ground.spot.material()
    attacked = {name: there(path) for name, path in material.attacked.items()}
    material = replace(material, test=there(material.test), attacked=attacked)
    paths = {name: there(path) for name, path in vars(ground).items() if isinstance(path, Path)}
    spot = replace(ground.spot, material=lambda: material)
    return replace(case, ground=replace(ground, **paths, spot=spot), private=there(case.private))


def build(root: Path, *, model: str = "tiny") -> Case:
    generator = torch.Generator().manual_seed(SEED)
    images = torch.randint(0, 256, (COUNT, 1, 2, 2), generator=generator, dtype=torch.uint8)
    noisy = images.float().flatten(1) / 255 @ WEIGHT.T
    labels = (noisy + torch.randn(COUNT, 1, generator=generator) / 4 > 0).long().flatten()
    test = Samples(images, labels, torch.arange(COUNT) * 3)
    split = sample_files.write(test, root / "runs" / "test.safetensors", root=root, classes=2)

    directory = root / "model"
    (directory / "data").mkdir(parents=True)
    save_file({"weight": WEIGHT}, directory / "data" / "weights.safetensors")
    (directory / "MLmodel").write_text(f"flavors: {{}} # {model}\n")
    (root / "raw.csv").write_bytes(b"a,b\n1,2\n")
    (root / "suite.json").write_text('{"name": "tiny"}\n')
    (root / "requirements.lock").write_text("numpy==2.4.6\n")

    threat = Threat(norm="Linf", eps=EPS, access="white-box", queries=10)
    spec = ImageInput(kind="images", shape=(1, 2, 2), classes=("0", "1"), mean=(0.5,), scale=(1.0,))
    allowed = region.build(threat, spec)
    clean = test.floats()
    step = EPS * WEIGHT.sign().reshape(1, 1, 2, 2) * (1 - 2 * labels.float())[:, None, None, None]
    fgsm = (clean + step).clamp(0, 1)
    half = np.arange(COUNT) < COUNT // 2
    slow = fgsm[: COUNT // 2]
    spotcheck.write_attacked(root / "fgsm.safetensors", index=torch.arange(COUNT), inputs=fgsm)
    spotcheck.write_attacked(root / "slow.safetensors", index=torch.arange(COUNT // 2), inputs=slow)
    known = outcomes.Outcomes(
        index=np.arange(COUNT),
        rows=test.rows.numpy(),
        labels=labels.numpy(),
        clean=answer(clean, labels.numpy()),
        attacks={
            "fgsm": answer(fgsm, labels.numpy()),
            "slow": answer(slow, labels.numpy(), half),
        },
    )
    stored = outcomes.write(known, root / "outcomes.jsonl")
    measured = recomputation.recompute(known, classes=2)

    private, trusted = root / "keys" / "evidence.pem", root / "keys" / "trusted"
    signature_sha256 = model_signature.sign(
        directory, root / "model.sig", private=root / "keys" / "model.pem", trusted=trusted
    )
    findings = judge(measured)
    registry = statement.RegistryEntry(
        name=model, version="1", created_at=1_780_000_000_000, run_id="a" * 32, source="models:/m-1"
    )
    lock = {"deps": [{"path": "raw.csv", "md5": "0" * 32}]}
    policy = [{"kind": "robust_accuracy", "bound": 0.05}]
    predicate = statement.Predicate(
        model=model,
        classes=2,
        registry=registry,
        files=statement.files_of(directory),
        model_signature_sha256=signature_sha256,
        data=(record(root, "raw.csv"),),
        suite=record(root, "suite.json"),
        splits=(FileRecord(path=split.path, sha256=split.sha256),),
        params=statement.section(PARAMS),
        threat=statement.section(PARAMS["threat"]),
        policy=statement.section(policy),
        dvc_lock=statement.section(lock),
        environment=record(root, "requirements.lock"),
        commit="c" * 40,
        seeds={"evaluation": SEED},
        measurements={**measured, "explanation/additivity_error": exact()},
        outcomes=statement.OutcomesRecord(
            sha256=stored.sha256,
            merkle_root=stored.tree.root.hex(),
            leaves=stored.tree.size,
            attacks=("fgsm", "slow"),
        ),
        findings=findings,
        decision=statement.decide(findings),
        submitted_by="dana",
        issued_at=NOW - timedelta(days=1),
        valid_until=NOW + timedelta(days=6),
    )
    evidence = root / "evidence.dsse.json"
    sign_statement(predicate, evidence, private, trusted)
    material = spotcheck.Material(
        predict=predict,
        test=root / split.path,
        attacked={"fgsm": root / "fgsm.safetensors", "slow": root / "slow.safetensors"},
        region=allowed,
    )
    ground = verification.Ground(
        evidence=evidence,
        trusted=trusted,
        model=model,
        directory=directory,
        model_signature=root / "model.sig",
        root=root,
        params=PARAMS,
        threat=PARAMS["threat"],
        policy=policy,
        dvc_lock=lock,
        commit="c" * 40,
        outcomes=root / "outcomes.jsonl",
        registry=registry,
        judge=judge,
        now=NOW,
        spot=verification.Spot(lambda: material, samples=10, seed=3),
    )
    return Case(ground, predicate, private)


def record(root: Path, name: str) -> FileRecord:
    return FileRecord(path=Path(name), sha256=provenance.sha256_file(root / name))


def exact() -> Measurement:
    return Measurement(value=0.0, lower=0.0, upper=0.0, samples=COUNT, interval="exact")
