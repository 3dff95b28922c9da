"""Promotion: gates judge, evidence is signed, and the registry gets a version either way."""

from __future__ import annotations

import getpass
import logging
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from prefect import task
from prefect.cache_policies import NO_CACHE
from securesystemslib.signer import Signer  # type: ignore[attr-defined]

from hardgate import (
    files,
    gates,
    measurements,
    provenance,
    records,
    regression,
    serving,
    state,
    statistics,
)
from hardgate.errors import IntegrityError, RefusedError
from hardgate.evidence import (
    differences,
    model_signature,
    outcomes,
    recomputation,
    signing,
    statement,
)
from hardgate.evidence.outcomes import Stored
from hardgate.evidence.statement import Lineage, OutcomesRecord, Predicate
from hardgate.evidence.verification import Check
from hardgate.params import Params
from hardgate.records import (
    Decision,
    FileRecord,
    Finding,
    Measurement,
)
from hardgate.supply_chain import bom, inspecting, installation, locks, slsa
from hardgate.supply_chain.inspecting import Inspection
from tasks import _champion, _history, _registry, _store, _tracking
from tasks._chain import Chain
from tasks._registry import Version
from tasks._versions import EVIDENCE, EVIDENCE_FOLDER, REGRESSION, entry, weights

STAGE = "promotion"
DECISION = "decision.json"
SPOT = 20  # samples that are run again before a version is nominated
SIGNATURE = "model.sig"
REPORT = "report.html"
INSPECTION = "supply-chain.json"
MODEL = "model"  # the registered files, as the registry gives them back
EXAMPLES = 5  # test inputs that travel with the model


@task(cache_policy=NO_CACHE, persist_result=False)
def check_chain(params: Params, chain: Chain) -> None:
    """Refuse records that are not one run's or not of these params, and bytes not evaluated.

    Raises
    ------
    IntegrityError
        Names the stage whose record does not fit.
    """
    links = {
        "augmentation": (chain.corpus.made_from, chain.dataset),
        "training": (chain.candidate.made_from, chain.corpus),
        "explanation": (chain.attributions.made_from, chain.candidate),
        "evaluation": (chain.evaluation.made_from, chain.candidate),
    }
    for stage, (made_from, before) in links.items():
        if made_from != _store.digest(before):
            raise IntegrityError(
                f"the record of {stage} was made from another run's files; delete "
                f"{_store.directory(params.model, stage)} and run again"
            )
    made_under = {
        "validation": chain.dataset.params_sha256,
        "augmentation": chain.corpus.params_sha256,
        "training": chain.candidate.params_sha256,
        "explanation": chain.attributions.params_sha256,
        "evaluation": chain.evaluation.params_sha256,
    }
    for stage, digest in made_under.items():
        if digest != params.digest(stage):
            raise IntegrityError(
                f"the record of {stage} was made under other params than params.yaml has now; "
                f"delete {_store.directory(params.model, stage)} and run again"
            )
    threat = provenance.sha256_json(records.to_plain(params.threat))
    if (chain.evaluation.test_sha256, chain.evaluation.threat_sha256) != (
        chain.dataset.test.sha256,
        threat,
    ):
        raise IntegrityError(
            "the evaluation is about another test split or threat than this run's; delete "
            f"{_store.directory(params.model, 'evaluation')} and run again"
        )
    _check_outcomes(chain)
    found = provenance.sha256_tree(chain.candidate.directory)
    if found != chain.candidate.model_sha256:
        raise IntegrityError(
            f"{chain.candidate.directory} has changed since it was trained: its digest is "
            f"{found[:12]}, the record says {chain.candidate.model_sha256[:12]}; delete it and "
            "run again"
        )


def _check_outcomes(chain: Chain) -> None:
    """Make the numbers that follow from the outcomes again: a record is a claim until then."""
    stored = outcomes.read(chain.evaluation.outcomes.path)
    said = (chain.evaluation.outcomes.sha256, chain.evaluation.merkle_root)
    if (stored.sha256, stored.tree.root.hex()) != said:
        raise IntegrityError(
            f"{chain.evaluation.outcomes.path} is not what the evaluation's record says; delete "
            "that stage's folder and run again"
        )
    classes, signed = len(chain.dataset.input.classes), chain.evaluation.measurements
    names = [name for name in signed if recomputation.can_recompute(name, classes=classes)]
    differences.refuse(
        differences.of_measurements(
            names, signed, recomputation.recompute(stored.outcomes, classes=classes)
        )
    )


@task(cache_policy=NO_CACHE, persist_result=False)
def find_champion(model: str) -> str | None:
    """Look up which version is in production, if any."""
    version = _registry.find(model, alias=_registry.IN_PRODUCTION)
    return None if version is None else version.version


@task(cache_policy=NO_CACHE, persist_result=False)
def measure_champion(params: Params, chain: Chain, champion: str | None) -> dict[str, Measurement]:
    """Measure the champion, if there is one, and what the candidate loses against it."""
    before = statistics.exact(_registry.versions(params.model), 1)
    found = _champion.measure(params, chain, champion)
    return found | {measurements.VERSIONS_BEFORE: before}


@task(cache_policy=NO_CACHE, persist_result=False)
def inspect_installation() -> Inspection:
    """Look at what is installed and known against it: no stage that DVC remembers depends on it."""
    return inspecting.inspect(_store.ROOT)


@task(cache_policy=NO_CACHE, persist_result=False)
def inspect_model(params: Params, version: Version, installed: Inspection) -> Inspection:
    """Fetch the registered files back, and look at each; keep in words what was found."""
    directory = _store.directory(params.model, STAGE)
    model = _registry.fetch_model(version, directory / MODEL)
    found = inspecting.with_files(installed, model, root=_store.ROOT)
    for words in found.words:
        logging.getLogger(__name__).warning("%s", words)
    records.write(found, directory / INSPECTION)
    return found


@task(cache_policy=NO_CACHE, persist_result=False)
def judge(params: Params, measured: Mapping[str, Measurement]) -> tuple[Finding, ...]:
    """Let every gate of the policy speak."""
    return gates.decide(params.promotion.gates, measured)


@task(cache_policy=NO_CACHE, persist_result=False)
def register(params: Params, chain: Chain) -> Version:
    """Log the run and register the model as a version, whatever the gates will say."""
    tags = {"hardgate.model": params.model, "hardgate.commit": _store.commit()}
    with _registry.run(params.model, tags) as run_id:
        _registry.log_params(run_id, _tracking.flat(records.to_plain(params)))
        _tracking.log_stages(run_id, params.model, chain)
        example = _example(params, chain)
        served = serving.load(chain.candidate.directory, torch.device("cpu"))
        return _registry.register(
            run_id,
            params.model,
            chain.candidate.directory,
            example=example,
            output=served.predict(example),
            requirements=_requirements(),
        )


def _example(params: Params, chain: Chain) -> pd.DataFrame | NDArray[np.float32]:
    """Pick the inputs that travel with the model: some of the test split, or made-up ones.

    Whoever encrypts the rows does not want five of them beside the model in the clear.
    """
    spec = chain.dataset.input
    if params.dataset.encrypt_to:
        return serving.example(spec, serving.made_up(spec, EXAMPLES))
    return serving.example(spec, _store.split(chain.dataset.test).inputs[:EXAMPLES])


def _requirements() -> list[str]:
    """Name what a serving host must install: this library, and the exact arithmetic."""
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in ("hardgate", "torch", "numpy", "pandas")]


@task(cache_policy=NO_CACHE, persist_result=False)
def attest(
    params: Params,
    chain: Chain,
    champion: str | None,
    version: Version,
    measured: Mapping[str, Measurement],
    findings: tuple[Finding, ...],
) -> FileRecord:
    """Sign evidence over the registered bytes, as they were fetched back and looked at."""
    _registry.log_stage(version.run_id, STAGE, measured, ())
    directory = _store.directory(params.model, STAGE)
    model = directory / MODEL
    signature = model_signature.sign(
        model, directory / SIGNATURE, private=_model_key(), trusted=_trusted()
    )
    stored = outcomes.read(chain.evaluation.outcomes.path)
    plain = records.to_plain(params)
    now = datetime.now(UTC).replace(microsecond=0)
    predicate = Predicate(
        model=params.model,
        classes=len(chain.dataset.input.classes),
        registry=entry(version),
        files=statement.files_of(model),
        model_signature_sha256=signature,
        data=chain.dataset.source,
        suite=chain.dataset.suite,
        splits=tuple(
            FileRecord(path=split.path, sha256=split.sha256)
            for split in (chain.dataset.train, chain.dataset.held_out, chain.dataset.test)
        ),
        params=statement.section(plain),
        threat=statement.section(plain["threat"]),
        policy=statement.section(plain[STAGE]["gates"]),
        dvc_lock=statement.section(_history.locked(params.model)),
        environment=_store.file(locks.FILE),
        commit=_store.commit(),
        seeds=dict.fromkeys(_store.STAGES, params.seed),
        measurements=dict(measured),
        outcomes=OutcomesRecord(
            sha256=stored.sha256,
            merkle_root=stored.tree.root.hex(),
            leaves=stored.tree.size,
            attacks=tuple(stored.outcomes.attacks),
        ),
        lineage=_lineage(params, chain, champion, stored),
        predictions=_predictions(params, chain, model),
        attachments=_attach(params, chain, version, statement.files_of(model), now),
        findings=findings,
        decision=statement.decide(findings),
        submitted_by=submitter(),
        issued_at=now,
        valid_until=now + timedelta(days=params.promotion.valid_days),
    )
    path = directory / EVIDENCE
    payload = statement.payload(statement.state(predicate))
    files.write_bytes(path, signing.sign(payload, _signer()))
    return _store.file(path)


def _attach(
    params: Params,
    chain: Chain,
    version: Version,
    model: tuple[FileRecord, ...],
    now: datetime,
) -> dict[str, str]:
    """Write the bill of materials and the signed provenance; give their digests by name."""
    directory = _store.directory(params.model, STAGE)
    versions = installation.read().versions
    made = {
        "params-sha256": provenance.sha256_json(records.to_plain(params)),
        "lock-sha256": provenance.sha256_file(locks.FILE),
        "code-sha256": provenance.sha256_code(),
        "commit": _store.commit(),
        "seed": str(params.seed),
    }
    bill = bom.write(
        bom.Materials(
            model=params.model,
            version=version.version,
            sha256=provenance.sha256_tree(directory / MODEL),
            files=model,
            data=chain.dataset.source,
            data_licence=params.promotion.data_licence,
            packages=versions,
            made=made,
            at=now,
        )
    )
    files.write_bytes(directory / bom.FILE, bill)
    build = slsa.Build(
        model=params.model,
        files=model,
        params=records.to_plain(params),
        data=chain.dataset.source,
        settings=(chain.dataset.suite, _store.file(locks.FILE)),
        commit=made["commit"],
        code_sha256=made["code-sha256"],
        versions={"hardgate": versions["hardgate"], "python": platform.python_version()},
        run_id=version.run_id,
        finished=now,
        byproducts=(FileRecord(path=Path(bom.FILE), sha256=provenance.sha256_bytes(bill)),),
    )
    files.write_bytes(directory / slsa.FILE, signing.sign(slsa.payload(build), _signer()))
    return {name: provenance.sha256_file(directory / name) for name in (bom.FILE, slsa.FILE)}


def _lineage(params: Params, chain: Chain, champion: str | None, stored: Stored) -> Lineage:
    """Name the earlier versions, and keep the inputs that fooled them and this one."""
    earlier = _champion.believed(params.model, champion)
    own = regression.fooling(stored.outcomes, chain.evaluation.adversarial)
    inherited = regression.empty() if earlier is None else earlier.regression()
    path = _store.directory(params.model, STAGE) / REGRESSION
    kept = regression.merge(inherited, own, size=params.promotion.regression)
    regression.write(kept, path, recipients=params.dataset.encrypt_to)
    return Lineage(
        champion=None if earlier is None else earlier.ancestor,
        start=chain.candidate.start,
        earlier=chain.corpus.earlier,
        regression_sha256=provenance.sha256_file(path),
    )


def _predictions(params: Params, chain: Chain, model: Path) -> tuple[tuple[float, ...], ...]:
    """Let the registered model answer its input example, for the watcher to compare with."""
    served = serving.load(weights(model), torch.device("cpu"))
    answers = served.predict(_example(params, chain))
    return tuple(tuple(float(each) for each in row) for row in np.asarray(answers))


def check_keys() -> None:
    """Refuse keys that could not sign: before a version is registered that would have no evidence.

    Raises
    ------
    IntegrityError
        If one is open to others, broken or not trusted; names the file.
    """
    model_signature.check(_model_key(), trusted=_trusted())
    _signer()


def _trusted() -> Path:
    return state.room("keys") / "trusted"


def _model_key() -> Path:
    return state.room("keys") / "model.pem"


def _signer() -> Signer:
    uri = os.environ.get("HARDGATE_SIGNER") or f"file2:{state.room('keys') / 'evidence.pem'}"
    return signing.open_signer(
        uri, trusted=_trusted(), keyid=os.environ.get("HARDGATE_SIGNER_KEYID")
    )


def submitter() -> str:
    """Name who runs this, as the registry knows him: he will not approve it."""
    return os.environ.get("HARDGATE_USER") or getpass.getuser()


@task(cache_policy=NO_CACHE, persist_result=False)
def conclude(
    params: Params,
    chain: Chain,
    champion: str | None,
    version: Version,
    installed: Inspection,
    findings: tuple[Finding, ...],
    evidence: FileRecord,
) -> Decision:
    """Write the decision and the report, and attach both and the evidence to the run."""
    from tasks import _reporting

    directory = _store.directory(params.model, STAGE)
    now = datetime.now(UTC).replace(microsecond=0)
    decision = Decision(
        model=params.model,
        version=version.version,
        made_from=basis(params, chain, champion, installed),
        findings=findings,
        evidence=evidence,
        report=directory / REPORT,
        decided_at=now.isoformat(),
        valid_until=(now + timedelta(days=params.promotion.valid_days)).isoformat(),
    )
    _reporting.write(params, chain, decision, directory / REPORT)
    finished = directory / "finished" / DECISION
    records.write(decision, finished)
    _registry.log_files(
        version.run_id,
        {
            directory / REPORT: "report",
            finished: "report",
            directory / EVIDENCE: EVIDENCE_FOLDER,
            directory / SIGNATURE: EVIDENCE_FOLDER,
            directory / REGRESSION: EVIDENCE_FOLDER,
            directory / bom.FILE: EVIDENCE_FOLDER,
            directory / slsa.FILE: EVIDENCE_FOLDER,
            directory / INSPECTION: "report",
            chain.evaluation.outcomes.path: EVIDENCE_FOLDER,
        },
    )
    _registry.announce(version, f"{EVIDENCE_FOLDER}/{EVIDENCE}")
    said = _tracking.words(
        decision,
        report=_registry.page(version, f"report/{REPORT}"),
        submitted_by=submitter(),
    )
    _registry.describe(version, said, _tracking.tags(decision))
    finished.replace(directory / DECISION)  # last: without it, nothing was decided
    finished.parent.rmdir()
    return decision


@task(cache_policy=NO_CACHE, persist_result=False)
def nominate(decision: Decision) -> None:
    """Point ``challenger`` at the version, if every gate passed: the last call of all.

    Raises
    ------
    IntegrityError
        If what the registry gives back does not verify; names the check.
    """
    standing = _registry.find(decision.model, alias=_registry.CHALLENGER)
    if not decision.promoted or (standing and standing.version == decision.version):
        return
    failed = _failed(decision)
    if failed:
        raise IntegrityError(
            f"{decision.model}/{decision.version} does not verify, so it was not nominated: "
            f"{failed[0].name}: {failed[0].words}"
        )
    version = _registry.find(decision.model, version=decision.version)
    if version is not None:
        _registry.nominate(version)


def _failed(decision: Decision) -> list[Check]:
    """Verify a version from what the registry holds, as ``hardgate verify`` does.

    Some samples are run again, so that outcomes of another model are not nominated.
    Uncommitted code and a refusal are what they are; both are told by the command itself.
    """
    from tasks import _verification

    checks = _verification.verify(f"{decision.model}/{decision.version}", sample=SPOT, seed=None)
    return [each for each in checks if not each.passed and each.name not in {"commit", "decision"}]


def basis(params: Params, chain: Chain, champion: str | None, installed: Inspection) -> str:
    """Digest everything a decision rests on, but the clock."""
    return provenance.sha256_json([params.digest(STAGE), chain.sha256, champion, installed.sha256])


@task(cache_policy=NO_CACHE, persist_result=False)
def recall(
    params: Params, chain: Chain, champion: str | None, installed: Inspection
) -> Decision | None:
    """Give the standing decision, if it is about the same things and verifies again.

    The file is believed only where the signed evidence says the same.
    """
    directory = _store.directory(params.model, STAGE)
    if not all((directory / name).is_file() for name in (DECISION, EVIDENCE, SIGNATURE, REPORT)):
        return None
    decision = records.read(Decision, directory / DECISION)
    if (
        decision.made_from != basis(params, chain, champion, installed)
        or decision.evidence != _store.file(directory / EVIDENCE)
        or _registry.find(params.model, version=decision.version) is None
    ):
        return None
    try:
        signed = signing.verify((directory / EVIDENCE).read_bytes(), trusted=_trusted())
        predicate = statement.read(signed.payload).predicate
        says_so = (predicate.findings, predicate.registry.version) == (
            decision.findings,
            decision.version,
        )
        return decision if says_so and not _failed(decision) else None
    except IntegrityError:
        return None


@task(cache_policy=NO_CACHE, persist_result=False)
def refuse_data(params: Params, refusal: RefusedError) -> Decision:
    """Decide against data that broke their contract: nothing to register, every gate listed."""
    from tasks import _reporting

    directory = _store.fresh(params.model, STAGE)
    now = datetime.now(UTC).replace(microsecond=0)
    decision = Decision(
        model=params.model,
        version=None,
        made_from=provenance.sha256_json([params.digest(STAGE), str(refusal)]),
        findings=gates.decide(params.promotion.gates, refusal.measurements),
        objections=refusal.objections,
        evidence=None,
        report=directory / REPORT,
        decided_at=now.isoformat(),
        valid_until=now.isoformat(),
    )
    records.write(decision, directory / DECISION)
    _reporting.write_refusal(params, decision, directory / REPORT)
    return decision
