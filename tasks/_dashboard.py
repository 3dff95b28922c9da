"""What Prefect's dashboard shows of a decision: the verdict in words, the findings as a table."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from hardgate.records import Decision, Record


@task(cache_policy=NO_CACHE, persist_result=False)
def show(decision: Decision) -> None:
    """Leave two artifacts with the flow run; their keys stay the same from run to run."""
    verdict = "promotable" if decision.promoted else "refused"
    version = f", version {decision.version}" if decision.version else ""
    objections = "".join(
        f"\n- {o.expectation} on {o.column or 'the table'}: {o.reason}" for o in decision.objections
    )
    key = decision.model.lower().replace("_", "-")
    create_markdown_artifact(
        f"# {decision.model}{version}: {verdict}\n\nReport: `{decision.report}`\n{objections}",
        key=f"{key}-decision",
        description=f"{decision.model} is {verdict}",
    )
    create_table_artifact(
        [
            {
                "gate": finding.gate,
                "verdict": finding.verdict.value,
                "measured": finding.observed.value if finding.observed else None,
                "lower": finding.observed.lower if finding.observed else None,
                "upper": finding.observed.upper if finding.observed else None,
                "condition": finding.condition,
                "message": finding.message,
            }
            for finding in decision.findings
        ],
        key=f"{key}-findings",
        description=f"what every gate found about {decision.model}",
    )


@task(cache_policy=NO_CACHE, persist_result=False)
def releases(found: Sequence[Record]) -> None:
    """Leave a table of the champions that were looked at."""
    create_table_artifact(
        [each.model_dump() for each in found],
        key="releases",
        description="champions that were looked at, and what was found",
    )
