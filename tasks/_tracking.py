"""What people see of a run in MLflow: its params, its stages, and the words on the version."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from hardgate.records import Decision, Verdict
from tasks import _registry, _store
from tasks._chain import Chain


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Spell nested params as dotted keys, as ``-S`` takes them."""
    if isinstance(value, dict) and value:
        items = value.items()
    elif isinstance(value, list) and value:
        items = {str(at): item for at, item in enumerate(value)}.items()
    else:
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, item in items:
        found |= flat(item, f"{prefix}.{key}" if prefix else str(key))
    return found


def log_stages(run_id: str, model: str, chain: Chain) -> None:
    """Log every stage as a child run: its numbers, its record and what it drew."""
    history = [
        {name: float(value) for name, value in row.items() if value}
        for row in _history(chain.candidate.history.path)
    ]
    files = {
        "validation": (chain.dataset, [chain.dataset.data_docs]),
        "augmentation": (chain.corpus, []),
        "training": (chain.candidate, [chain.candidate.history.path]),
        "explanation": (chain.attributions, [plot.path for plot in chain.attributions.plots]),
        "evaluation": (chain.evaluation, [_store.directory(model, "evaluation") / "curve.csv"]),
    }
    for stage, (record, paths) in files.items():
        _registry.log_stage(
            run_id,
            stage,
            getattr(record, "measurements", {}),
            [_store.directory(model, stage) / _store.RECORD, *paths],
            history=history if stage == "training" else (),
        )


def _history(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def words(decision: Decision) -> str:
    """Say on the version's page what was decided and what to do."""
    lines = [
        f"- {finding.gate}: {finding.verdict.value}, "
        + (f"{finding.observed.value:.4g}" if finding.observed else "not measured")
        + f" ({finding.condition})"
        for finding in decision.findings
    ]
    head = (
        "Passed every gate. To approve it, add the alias `champion`."
        if decision.promoted
        else "Refused. The gates that said no tell why below; see docs/gates.md for what to do."
    )
    return "\n".join([head, "", *lines, "", f"Evidence holds until {decision.valid_until}."])


def tags(decision: Decision) -> dict[str, str]:
    """Say the same in tags, which searches find; they mirror the evidence and prove nothing."""
    refused = [f.gate for f in decision.findings if f.verdict is not Verdict.PASSED]
    return {
        "gate.status": "passed" if decision.promoted else "refused",
        "gate.refused_by": ", ".join(refused) or "none",
        "gate.valid_until": decision.valid_until,
        "gate.report": "artifacts of the run, report/report.html",
    }
