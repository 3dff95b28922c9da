"""What people see of a run in MLflow: its params, its stages, and the words on the version."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path
from typing import Any

from hardgate.records import Decision, Finding, Verdict
from tasks import _registry, _store
from tasks._chain import Chain

GAP = "&emsp;"  # MLflow's pages draw tables without room between the columns


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


def words(decision: Decision, *, report: str, submitted_by: str) -> str:
    """Say on the version's page, in Markdown, what was decided and what to do.

    ``report`` is a link to the report's page.
    """
    until = f"{datetime.fromisoformat(decision.valid_until):%Y-%m-%d %H:%M} UTC"
    head = (
        "**Passed every gate.** To approve it: the pencil beside *Aliases* above, type "
        "`champion`, save. The server looks at the evidence and the files once more; if it says "
        "no, the dialog tells why."
        if decision.promoted
        else "**Refused.** The gates in bold said no; docs/gates.md tells what to do about each. "
        "The server will not let it be `champion`."
    )
    facts = (
        f"[Open the report]({report}) · submitted by **{submitted_by}**, who cannot approve it · "
        f"evidence holds until {until}"
    )
    rows = ["| gate | verdict | measured | 95 % interval | to pass |", "| :-- " * 5 + "|"]
    rows += [_row(finding) for finding in decision.findings]
    return "\n".join([head, "", facts, "", *rows])


def _row(finding: Finding) -> str:
    seen = finding.observed
    measured = f"{seen.value:.4g}" if seen else "not measured"
    interval = f"{seen.lower:.3g} to {seen.upper:.3g}" if seen else ""
    cells = [finding.gate, finding.verdict.value, measured, interval, finding.condition]
    if finding.verdict is not Verdict.PASSED:
        cells = [f"**{cell}**" if cell else "" for cell in cells]
    return f"| {f'{GAP}| '.join(cells)} |"


def tags(decision: Decision) -> dict[str, str]:
    """Say the same in tags, which searches find; they mirror the evidence and prove nothing."""
    refused = [f.gate for f in decision.findings if f.verdict is not Verdict.PASSED]
    return {
        "gate.status": "passed" if decision.promoted else "refused",
        "gate.refused_by": ", ".join(refused) or "none",
        "gate.valid_until": decision.valid_until,
        "gate.report": "artifacts of the run, report/report.html",
    }
