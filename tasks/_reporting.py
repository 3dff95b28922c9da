"""The report of a run: gather the records and files, and write the page beside the decision."""

from __future__ import annotations

import base64
import binascii
import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from hardgate import files, provenance, records, reporting, state
from hardgate import params as settings
from hardgate.drill import result
from hardgate.drill.result import Drill
from hardgate.errors import IntegrityError, ParamsError
from hardgate.evidence import statement
from hardgate.evidence.statement import Predicate
from hardgate.params import Params
from hardgate.records import (
    AttributionRecord,
    CandidateRecord,
    CorpusRecord,
    DatasetRecord,
    Decision,
    EvaluationRecord,
    FileRecord,
    Measurement,
)
from hardgate.reporting import Picture, Refusal, Run
from tasks import _store
from tasks._chain import Chain

STAGE = "promotion"
DECISION = "decision.json"
REPORT = "report.html"
DATA_DOCS = Path("data_docs", "index.html")


def write(params: Params, chain: Chain, decision: Decision, path: Path) -> None:
    """Write the report of a decision on a model, whole or not at all."""
    _write(
        params,
        (chain.dataset, chain.corpus, chain.candidate, chain.attributions, chain.evaluation),
        decision,
        None if decision.evidence is None else _signed(decision.evidence),
        path,
    )


def write_refusal(params: Params, decision: Decision, path: Path) -> None:
    """Write the report of a refusal of data, whole or not at all."""
    docs = _store.directory(params.model, "validation") / DATA_DOCS
    refusal = Refusal(
        params=params, decision=decision, data_docs=_link(docs, path), commit=_store.commit()
    )
    files.write_text(path, reporting.render_refusal(refusal))


def rewrite(model: str) -> Path:
    """Write the report of the last run again, with the params that it was signed with.

    Raises
    ------
    ParamsError
        If there is no such model, or it was never decided on here.
    IntegrityError
        If records or files are missing, broken, or not those that were decided on.
    """
    current = settings.load(model)
    directory = _store.directory(model, STAGE)
    if not (directory / DECISION).is_file():
        raise ParamsError(
            f"{directory / DECISION} is missing: {model} has no decision here yet; "
            f"run hardgate harden {model}"
        )
    decision = records.read(Decision, directory / DECISION)
    path = directory / REPORT
    if decision.evidence is None:
        write_refusal(current, decision, path)
        return path
    signed = _signed(decision.evidence)
    chain = (
        _store.dataset(model),
        _store.corpus(model),
        _store.candidate(model),
        _store.attributions(model),
        _store.evaluation(model),
    )
    if chain[-1].merkle_root != signed.outcomes.merkle_root:
        raise IntegrityError(
            f"the records of {model} are of a later run than its last decision; "
            f"run hardgate harden {model} to have that one decided on"
        )
    _write(_params(signed), chain, decision, signed, path)
    return path


Records = tuple[DatasetRecord, CorpusRecord, CandidateRecord, AttributionRecord, EvaluationRecord]


def _write(
    params: Params, chain: Records, decision: Decision, signed: Predicate | None, path: Path
) -> None:
    dataset, corpus, candidate, attributions, evaluation = chain
    run = Run(
        params=params,
        dataset=dataset,
        corpus=corpus,
        candidate=candidate,
        attributions=attributions,
        evaluation=evaluation,
        decision=decision,
        measured=_measured(chain) if signed is None else signed.measurements,
        history=_history(candidate.history),
        plots=_pictures(attributions.plots),
        data_docs=_link(_store.ROOT / dataset.data_docs / DATA_DOCS.name, path),
        submitted_by=None if signed is None else signed.submitted_by,
        drill=_drill(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, reporting.render(run))


def _drill() -> Drill | None:
    """Read what the last drill of the gates came to, if there was one here."""
    path = state.home() / result.FILE
    return records.read(Drill, path) if path.is_file() else None


def _measured(chain: Records) -> Mapping[str, Measurement]:
    dataset, _, candidate, attributions, evaluation = chain
    return {
        **dataset.measurements,
        **candidate.measurements,
        **attributions.measurements,
        **evaluation.measurements,
    }


def _signed(evidence: FileRecord) -> Predicate:
    """Read what was signed. The decision's digest vouches for it here; ``verify`` for the rest."""
    try:
        payload = base64.b64decode(json.loads(_read(evidence))["payload"], validate=True)
    except (json.JSONDecodeError, KeyError, TypeError, binascii.Error) as error:
        raise IntegrityError(
            f"{evidence.path} is no signed envelope; run hardgate harden again"
        ) from error
    return statement.read(payload).predicate


def _params(signed: Predicate) -> Params:
    """Give the params that were signed: params.yaml may have changed since."""
    try:
        return Params.model_validate(signed.params.content)
    except ValidationError as error:
        raise IntegrityError(
            f"the evidence of {signed.model} holds params that this version of the code does not "
            f"know: {error.errors()[0]['msg']}; run hardgate harden {signed.model}"
        ) from error


def _history(file: FileRecord) -> list[dict[str, float]]:
    rows = csv.DictReader(_read(file).decode().splitlines())
    try:
        return [{name: float(cell) for name, cell in row.items() if cell} for row in rows]
    except (ValueError, TypeError) as error:
        raise IntegrityError(
            f"{file.path} holds a cell that is no number; delete it and run training again"
        ) from error


def _pictures(files: Sequence[FileRecord]) -> list[Picture]:
    """Embed what is an image; numbers for other tools stay where they are."""
    return [
        reporting.picture(file.path, _read(file))
        for file in files
        if file.path.suffix.lower() in reporting.MEDIA
    ]


def _read(file: FileRecord) -> bytes:
    """Read a file, once its digest is found true."""
    path = _store.ROOT / file.path
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise IntegrityError(f"{path} is missing; run hardgate harden again") from error
    found = provenance.sha256_bytes(content)
    if found != file.sha256:
        raise IntegrityError(
            f"{path} has changed since it was recorded: its digest is {found[:12]}, the record "
            f"says {file.sha256[:12]}; run hardgate harden again"
        )
    return content


def _link(target: Path, page: Path) -> str:
    return Path(os.path.relpath(target, page.parent)).as_posix()
