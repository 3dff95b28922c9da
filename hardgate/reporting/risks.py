"""What each risk of :mod:`hardgate.risks` came to: a heading, what was asked, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from hardgate import supply_chain
from hardgate.reporting import words
from hardgate.reporting.parts import Table
from hardgate.reporting.run import Run
from hardgate.supply_chain import inspecting


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
    carried = _supply_chain(run)
    return (*shown, *([carried] if carried else []))


def _supply_chain(run: Run) -> Section | None:
    """Show what carries the model; no setting asks for it, so it is in every report."""
    found = {name: seen for name, seen in run.measured.items() if name in inspecting.SAID}
    rows = tuple(
        (inspecting.SAID[name], words.value(seen), words.interval(seen), f"{seen.samples:,}")
        for name, seen in found.items()
    )
    if not rows:
        return None
    table = Table(("measured", "value", "95 % interval", "looked at"), rows)
    return Section(supply_chain.NAME, "Supply chain", inspecting.ABOUT, table)
