"""From a run to a page: gather what every part shows, then fill in the templates."""

from __future__ import annotations

import functools
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hardgate import measurements
from hardgate.comparison import Comparison
from hardgate.records import Objection
from hardgate.reporting import (
    ancestry,
    asked,
    figures,
    frontiers,
    groups,
    prices,
    reasons,
    reproduction,
    risks,
    sheets,
    threats,
    verdicts,
    words,
)
from hardgate.reporting.run import Refusal, Run

TEMPLATES = Path(__file__).parent / "templates"


def render(run: Run) -> str:
    """Write the report of a run that ended in a decision on a model, as one HTML page."""
    gates = verdicts.rows(run.params, run.decision)
    return _fill(
        "report.html",
        run=run,
        banner=verdicts.banner(run.decision, gates),
        gates=gates,
        tiles=verdicts.tiles(run),
        commit=run.candidate.commit,
        commands=reproduction.commands(run.candidate.commit, run.params.model, registered=True),
    )


def render_refusal(refusal: Refusal) -> str:
    """Write the report of a run that ended at its data, as one HTML page."""
    decision = refusal.decision
    return _fill(
        "refusal.html",
        refusal=refusal,
        decision=decision,
        objections=[(objection, _seen(objection)) for objection in decision.objections],
        gates=verdicts.rows(refusal.params, decision),
        decided=words.moment(decision.decided_at),
        sources=sheets.sources(refusal.params),
        commit=refusal.commit,
        commands=reproduction.commands(refusal.commit, refusal.params.model, registered=False),
    )


def render_comparison(comparison: Comparison) -> str:
    """Write the page of a comparison of candidates."""
    return _fill(
        "comparison.html",
        comparison=comparison,
        picture=frontiers.picture(comparison),
        prices=frontiers.prices(comparison),
        panels=frontiers.panels(comparison),
        table=frontiers.table(comparison),
        decided=words.moment(comparison.compared_at),
    )


def draw_frontier(comparison: Comparison) -> str:
    """Draw the picture of that page as an SVG file of its own."""
    drawn = frontiers.picture(comparison)
    return _fill(
        "frontier.svg",
        picture=drawn,
        title=f"{comparison.model}: candidates compared",
        width=frontiers.WIDTH,
        height=drawn.height if drawn else 0,
    )


def _seen(objection: Objection) -> list[tuple[str, str]]:
    """Pair the first rows with what stands in them; some objections have only the one or other."""
    if len(objection.rows) == len(objection.values):
        return [(str(r), v) for r, v in zip(objection.rows, objection.values, strict=True)]
    return [
        *((str(row), "") for row in objection.rows),
        *(("the table", seen) for seen in objection.values),
    ]


def _fill(template: str, **context: Any) -> str:
    return _environment().get_template(template).render(**context)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        ancestry=ancestry,
        asked=asked,
        figures=figures,
        groups=groups,
        prices=prices,
        reasons=reasons,
        reproduction=reproduction,
        risks=risks,
        sheets=sheets,
        threats=threats,
        verdicts=verdicts,
        words=words,
        measurements=measurements,
        hardgate_version=version("hardgate"),
    )
    return environment
