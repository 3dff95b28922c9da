"""What each risk of :mod:`hardgate.risks` came to: a heading, what was asked, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from hardgate.reporting import words
from hardgate.reporting.parts import Table
from hardgate.reporting.run import Run


@dataclass(frozen=True)
class Section:
    """One risk on a page."""

    anchor: str
    title: str
    about: str
    table: Table


def sections(run: Run) -> tuple[Section, ...]:
    """Show every risk that was measured, in the order of the params."""
    shown = []
    for risk in run.params.evaluation.risks:
        found = {n: seen for n, seen in run.measured.items() if n.startswith(f"{risk.name}/")}
        rows = tuple(
            (
                words.unword(risk.said(name)),
                words.value(seen),
                words.interval(seen),
                f"{seen.samples:,}",
            )
            for name, seen in found.items()
        )
        if rows:
            table = Table(("measured", "value", "95 % interval", "samples"), rows)
            shown.append(Section(risk.name, risk.title, words.about(risk), table))
    return tuple(shown)
