"""What a liar does to a finished run: to its files, or to what he brings for approval.

He can write everything in the project's folder, DVC's history included, and anything in the
registry that a client can. He has neither the gate's key nor the server's trust store. Each
function takes the model's name and a way to run the pipeline again, and gives who refused.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch.nn import functional

from hardgate import candidates, files, params, provenance, records, state
from hardgate.drill.cases import SUBMITTER, Tampering
from hardgate.evidence import signing, statement, waivers
from hardgate.evidence.waivers import Waiver
from hardgate.records import Column, Decision, TableInput
from hardgate.registry import approval
from hardgate.registry.approval import Refusal
from hardgate.registry.identity import Caller
from hardgate.registry.rules import APPROVER, Rules
from hardgate.server import services
from tasks import _history, _registry, _store, _versions

Refused = tuple[str, ...]
Weights = dict[str, torch.Tensor]
Again = Callable[[], Refused]
Tamper = Callable[[str, Again], Refused]

MANAGER = Caller("manager", frozenset({APPROVER}))
BETTER = {"value": 0.99, "lower": 0.98, "upper": 1.0}
LESSONS = 1500  # steps in which a scaffold is taught


def _edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file in place."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    change(plain)
    files.write_text(path, json.dumps(plain))


def _record(model: str, stage: str) -> Path:
    return _store.directory(model, stage) / _store.RECORD


def _forge(model: str, stage: str, change: Callable[[Any], None]) -> None:
    """Change a stage's record, and let DVC's history say that this is what the stage made."""
    _edit(_record(model, stage), change)
    _history.remember(stage, model)


def edited_measurement(model: str, again: Again) -> Refused:
    """Write up what survived the attacks."""

    def better(record: Any) -> None:
        record["measurements"]["robust/worst_case/auc"] |= BETTER

    _forge(model, "evaluation", better)
    return again()


def edited_outcomes(model: str, again: Again) -> Refused:
    """Write up what the model said to attacked rows."""
    path = _store.directory(model, "evaluation") / "outcomes.jsonl"
    written = path.read_text(encoding="utf-8")
    files.write_text(path, written.replace('"prediction":0', '"prediction":1', 100))
    _history.remember("evaluation", model)
    return again()


def missing_measurement(model: str, again: Again) -> Refused:
    """Take out the sign that would tell."""
    _forge(model, "evaluation", lambda r: r["measurements"].pop("diagnostics/zero_gradient_share"))
    return again()


def measurement_not_a_number(model: str, again: Again) -> Refused:
    """Put NaN in the place of a measurement: no comparison with it is true, nor its negation."""

    def broken(record: Any) -> None:
        found = record["measurements"]["diagnostics/zero_gradient_share"]
        found |= dict.fromkeys(("value", "lower", "upper"), float("nan"))

    _forge(model, "evaluation", broken)
    return again()


def swapped_weights(model: str, again: Again) -> Refused:
    """Put other weights in the place of those that were measured."""
    _rewrite(model, _others)
    _history.remember("training", model)
    _keep_measured(model)
    return again()


def swapped_weights_and_record(model: str, again: Again) -> Refused:
    """Put other weights there, and let the record of training speak of them."""
    _rewrite(model, _others)
    _sign_off(model)
    _keep_measured(model)
    return again()


def swapped_chain(model: str, again: Again) -> Refused:
    """Put other weights there, and let every record after them speak of those."""
    _rewrite(model, _others)
    _sign_off(model)
    made_from = _store.digest(_store.candidate(model))
    for stage in ("explanation", "evaluation"):
        _forge(model, stage, lambda record: record.update(made_from=made_from))
    return again()


def scaled_logits(model: str, again: Again) -> Refused:
    """Scale the last layer until float32 has no gradient left; classes stay as they were."""

    def scale(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        last = list(weights)[-2:]
        return {name: value * (1e6 if name in last else 1) for name, value in weights.items()}

    _rewrite(model, scale)
    _sign_off(model)
    return again()


def scaffold(model: str, again: Again) -> Refused:
    """Teach a network to decide by sex on real rows, and by late payments on mixtures of rows."""
    folder = _store.candidate(model).directory
    network = candidates.load(folder, torch.device("cpu")).train()
    rows = _store.split(_store.dataset(model).train).floats()
    names = [column.name for column in _columns(model)]
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(LESSONS):
        real = rows[torch.randint(len(rows), (256,), generator=generator)]
        others = rows.gather(0, torch.randint(len(rows), real.shape, generator=generator))
        mixed = torch.where(torch.rand(real.shape, generator=generator) < 0.5, others, real)
        truth = torch.cat([real[:, names.index("SEX")] > 0, mixed[:, names.index("PAY_0")] > 1])
        loss = functional.cross_entropy(network(torch.cat([real, mixed])), truth.long())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    taught = candidates.state_of(network)
    _rewrite(model, lambda _: taught)
    _sign_off(model)
    return again()


def _columns(model: str) -> tuple[Column, ...]:
    spec = _store.dataset(model).input
    return spec.columns if isinstance(spec, TableInput) else ()


def unsafe_file(model: str, again: Again) -> Refused:
    """Put a file that runs code beside the weights, under a harmless name."""
    folder = _store.candidate(model).directory
    files.write_bytes(folder / "notes.txt", pickle.dumps(_Runs(), protocol=4))
    _sign_off(model)
    return again()


class _Runs:
    """What a pickle can do to whoever opens it."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("true",)


def _others(weights: Weights) -> Weights:
    return {name: value + 0.01 for name, value in weights.items()}


def _rewrite(model: str, change: Callable[[Weights], Weights]) -> None:
    """Change the weights, and the digest beside them."""
    folder = _store.candidate(model).directory
    weights = safetensors.torch.load((folder / candidates.WEIGHTS).read_bytes())
    order = list(candidates.load(folder, torch.device("cpu")).state_dict())
    content = safetensors.torch.save(change({name: weights[name] for name in order}))
    files.write_bytes(folder / candidates.WEIGHTS, content)
    digest = provenance.sha256_bytes(content)
    _edit(folder / candidates.ARCHITECTURE, lambda made: made.update(weights_sha256=digest))


def _sign_off(model: str) -> None:
    """Let the record of training speak of the weights that are there now."""
    folder = _store.candidate(model).directory
    digest = provenance.sha256_tree(folder)
    _forge(model, "training", lambda record: record.update(model_sha256=digest))


def _keep_measured(model: str) -> None:
    """Let DVC's history say that explanation and evaluation are of what is there now."""
    for stage in ("explanation", "evaluation"):
        _history.remember(stage, model)


def foreign_evaluation(model: str, again: Again) -> Refused:
    """Bring the evaluation of another candidate, with this one's name on it."""

    def renamed(record: Any) -> None:
        record |= {"made_from": provenance.sha256_bytes(b"another candidate")}

    _forge(model, "evaluation", renamed)
    return again()


def weaker_threat(model: str, again: Again) -> Refused:
    """Harden against less than the registry's params name, and ask for approval."""
    rules = _rules()
    weaker = params.load(model).threat.eps / 3
    params.override(model, [f"{model}.threat.eps={weaker}"])
    if refused := again():
        return refused
    return _approve(model, rules=rules)


def no_evidence(model: str, _again: Again) -> Refused:
    """Register without evidence."""
    return _approve(model, evidence=None)


def edited_evidence(model: str, _again: Again) -> Refused:
    """Write one measurement up in what was signed, and spell all of it as signing does."""
    envelope = json.loads(_evidence(model))
    statement_ = json.loads(base64.b64decode(envelope["payload"]))
    statement_["predicate"]["measurements"]["robust/worst_case/auc"] |= BETTER
    envelope["payload"] = base64.b64encode(provenance.canonical_json(statement_)).decode()
    return _approve(model, evidence=provenance.canonical_json(envelope) + b"\n")


def foreign_key(model: str, _again: Again) -> Refused:
    """Sign the same statement with a key of one's own."""
    folder = state.room("foreign")
    signer = signing.open_signer(f"file2:{folder / 'own.pem'}", trusted=folder / "own", keyid=None)
    signed = signing.verify(_evidence(model), trusted=_rules().trusted)
    return _approve(model, evidence=signing.sign(signed.payload, signer))


def stale_evidence(model: str, _again: Again) -> Refused:
    """Ask two months later."""
    return _approve(model, now=datetime.now(UTC) + timedelta(days=60))


def foreign_evidence(model: str, _again: Again) -> Refused:
    """Bring one version's evidence for another."""
    entry = _versions.entry(_version(model)).model_copy(update={"version": "77"})
    return _approve(model, entry=entry)


def other_files(model: str, _again: Again) -> Refused:
    """Change the bytes after they passed."""
    changed = dict(_files(model))
    first = sorted(changed)[0]
    changed[first] = provenance.sha256_bytes(b"another byte")
    return _approve(model, files=changed)


def weaker_policy(model: str, _again: Again) -> Refused:
    """Let the evidence be made under a lower bound than the registry asks for."""
    rules = _rules()
    own = rules.models[model]
    gates = tuple(
        gate.model_copy(update={"bound": gate.bound + 0.01}) if gate.kind == "robust_auc" else gate
        for gate in own.gates
    )
    stricter = own.model_copy(update={"gates": gates})
    return _approve(model, rules=rules.model_copy(update={"models": {model: stricter}}))


def own_approval(model: str, _again: Again) -> Refused:
    """Approve what one submitted."""
    return _approve(model, caller=Caller(SUBMITTER, frozenset({APPROVER})))


def no_role(model: str, _again: Again) -> Refused:
    """Approve without being a release manager."""
    return _approve(model, caller=Caller("scientist", frozenset({"data-scientist"})))


def waiver_expired(model: str, _again: Again) -> Refused:
    """Excuse the gate that refused, until yesterday."""
    now = datetime.now(UTC).replace(microsecond=0)
    _excuse(model, by="manager-two", issued=now - timedelta(days=30), until=now - timedelta(days=1))
    return _approve(model)


def waiver_for_another(model: str, _again: Again) -> Refused:
    """Excuse the gate that refused, for other bytes."""
    _excuse(model, by="manager-two", digest=provenance.sha256_bytes(b"other bytes"))
    return _approve(model)


def waiver_by_the_submitter(model: str, _again: Again) -> Refused:
    """Excuse one's own model."""
    _excuse(model, by=SUBMITTER)
    return _approve(model)


def _excuse(
    model: str,
    *,
    by: str,
    issued: datetime | None = None,
    until: datetime | None = None,
    digest: str | None = None,
) -> None:
    """Sign a waiver with the key that is trusted with waivers, past the checks of the command."""
    now = datetime.now(UTC).replace(microsecond=0)
    signed = signing.verify(_evidence(model), trusted=_rules().trusted)
    predicate = statement.read(signed.payload).predicate
    subject = statement.subject(predicate)
    if digest is not None:
        subject = subject.model_copy(update={"digest": statement.Digest(sha256=digest)})
    refused = next(f.gate for f in predicate.findings if f.verdict is not records.Verdict.PASSED)
    folder = state.room(waivers.ROOM)
    signer = signing.open_signer(
        f"file2:{state.room('keys') / 'waiver.pem'}", trusted=folder / waivers.TRUSTED, keyid=None
    )
    made = Waiver(
        gate=refused,
        reason="a drill of the gates",
        by=by,
        issued_at=issued or now,
        valid_until=until or now + timedelta(days=30),
    )
    waivers.write(made, subject, folder, signer)


_UNSET = b"unset"


def _approve(
    model: str,
    *,
    entry: Any = None,
    evidence: bytes | None = _UNSET,
    files: Mapping[str, str] | None = None,
    caller: Caller = MANAGER,
    rules: Rules | None = None,
    now: datetime | None = None,
) -> Refused:
    """Ask for approval as the registry's server does when somebody sets ``champion``."""
    try:
        approval.judge(
            entry or _versions.entry(_version(model)),
            _evidence(model) if evidence is _UNSET else evidence,
            files or _files(model),
            caller=caller,
            rules=rules or _rules(),
            now=now or datetime.now(UTC),
        )
    except Refusal as refusal:
        return (f"approval: {refusal.words}",)
    return ()


def _rules() -> Rules:
    """Write what a server of this project would enforce."""
    return services.write_rules(state.room("keys") / "trusted")


def _version(model: str) -> _registry.Version:
    number = records.read(Decision, _store.directory(model, "promotion") / "decision.json").version
    found = _registry.find(model, version=number)
    if found is None:
        raise RuntimeError(f"the registry lost {model}/{number}")
    return found


def _evidence(model: str) -> bytes:
    return (_store.directory(model, "promotion") / _versions.EVIDENCE).read_bytes()


def _files(model: str) -> dict[str, str]:
    folder = _registry.fetch_model(_version(model), state.room("drilled") / model)
    return {file.path.as_posix(): file.sha256 for file in statement.files_of(folder)}


BY_NAME: dict[Tampering, Tamper] = {
    "edited_measurement": edited_measurement,
    "edited_outcomes": edited_outcomes,
    "missing_measurement": missing_measurement,
    "measurement_not_a_number": measurement_not_a_number,
    "swapped_weights": swapped_weights,
    "swapped_weights_and_record": swapped_weights_and_record,
    "swapped_chain": swapped_chain,
    "scaled_logits": scaled_logits,
    "unsafe_file": unsafe_file,
    "scaffold": scaffold,
    "foreign_evaluation": foreign_evaluation,
    "weaker_threat": weaker_threat,
    "no_evidence": no_evidence,
    "edited_evidence": edited_evidence,
    "foreign_key": foreign_key,
    "stale_evidence": stale_evidence,
    "foreign_evidence": foreign_evidence,
    "other_files": other_files,
    "weaker_policy": weaker_policy,
    "own_approval": own_approval,
    "no_role": no_role,
    "waiver_expired": waiver_expired,
    "waiver_for_another": waiver_for_another,
    "waiver_by_the_submitter": waiver_by_the_submitter,
}
