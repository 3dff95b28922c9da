"""What is left of inputs whose attacker only asks, over the queries."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from hardgate import queries
from hardgate.queries import Asking
from hardgate.reporting import charts, words
from hardgate.reporting.charts import Line, Point, Style
from hardgate.reporting.parts import WHOLE
from hardgate.reporting.run import Run
from hardgate.threat import Access

STYLES: tuple[Style, ...] = ("attacked", "other", "clean")
SEES: dict[Access, str] = {
    "white-box": "sees gradients",
    "score-based": "sees scores",
    "decision-based": "sees the class alone",
}


@dataclass(frozen=True)
class Asked:
    """A plot, and what its lines are."""

    keys: tuple[tuple[Style, str], ...]
    plot: Markup


def curve(run: Run) -> Asked | None:
    """Draw accuracy over queries, a line per attack, if it was measured."""
    section = run.params.evaluation.queries
    if section is None:
        return None
    attacks: dict[str, Asking] = {attack.name: attack for attack in section.attacks}
    found = queries.curves(tuple(attacks), section.counts, run.measured)
    if not found:
        return None
    lines = [
        Line(_name(attacks[name]), style, tuple(Point(x, y.value, y.lower, y.upper) for x, y in at))
        for style, (name, at) in zip(STYLES, found.items(), strict=False)
    ]
    spoken = "; ".join(
        f"{name} leaves {words.whole(at[-1][1])} after {words.count(at[-1][0], 'query')}"
        for name, at in found.items()
    )
    plot = charts.lines(
        lines,
        x=charts.around([float(section.counts[-1])]),
        y=WHOLE,
        x_title="queries per input",
        label=f"Accuracy over queries: {spoken}",
    )
    return Asked(tuple((line.style, line.name) for line in lines), plot)


def _name(attack: Asking) -> str:
    return f"{words.attack(attack.name)}, which {SEES[attack.needs]}"
