"""How to do it again, and what it must then agree with."""

from __future__ import annotations

import shlex

from hardgate.reporting.parts import Table
from hardgate.reporting.run import Run

CHANGED = "+changes"  # what provenance.git_commit adds to a commit that the code differs from


def commands(commit: str, model: str, *, registered: bool) -> tuple[str, ...]:
    """List the commands that do it again."""
    commit = commit.removesuffix(CHANGED)
    known = commit.isalnum()
    name = shlex.quote(model)
    said = [f"git checkout {commit}"] if known else []
    said += ["make setup", f".venv/bin/hardgate harden {name}"]
    if registered:
        said.append(f".venv/bin/hardgate verify {name} --sample 50")
    return tuple(said)


def caveat(commit: str) -> str:
    """Say what stands in the way of doing it again."""
    if commit.endswith(CHANGED):
        return (
            "The code had changes that are in no commit when this ran: what git checkout gives is "
            "near, and not the same."
        )
    if not commit.isalnum():
        return "The code was under no version control when this ran."
    return ""


def digests(run: Run) -> Table:
    """List what the evidence and the records of every stage rest on."""
    decision = run.decision
    params = {
        "validation": run.dataset.params_sha256,
        "augmentation": run.corpus.params_sha256,
        "training": run.candidate.params_sha256,
        "explanation": run.attributions.params_sha256,
        "evaluation": run.evaluation.params_sha256,
        "promotion": run.params.digest("promotion"),
    }
    rows = [
        *((f"params of {stage}", digest) for stage, digest in params.items()),
        ("model", run.candidate.model_sha256),
        ("threat", run.evaluation.threat_sha256),
        ("Merkle root over per-sample outcomes", run.evaluation.merkle_root),
    ]
    if decision.evidence:
        rows.append(("signed evidence", decision.evidence.sha256))
    rows.append(("everything the decision rests on", decision.made_from))
    return Table(("what", "SHA-256"), tuple(rows))
