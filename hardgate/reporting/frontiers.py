"""A comparison of candidates: what each gains against what it pays, and nobody's better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hardgate.comparison import Compared, Comparison
from hardgate.records import Measurement
from hardgate.reporting import charts, words
from hardgate.reporting.charts import Line, Point
from hardgate.reporting.parts import Table

WIDTH, HEIGHT = 760, 290  # pixels of a panel in a file of its own

Number = Callable[[Compared], float]


@dataclass(frozen=True)
class Panel:
    """One chart and what it is about."""

    title: str
    chart: Markup


def panels(comparison: Comparison) -> list[Panel]:
    """Draw robustness against each price, and proof against clean quality where any is proven."""
    metric = words.METRICS[comparison.metric]
    rows = comparison.candidates
    if not rows:
        return []
    prices: tuple[tuple[str, str, Number, bool], ...] = (
        ("against clean quality", f"{metric}, clean", lambda row: row.clean.value, True),
        ("against time of training", "seconds of training", lambda row: row.seconds, False),
        ("against time to answer", "microseconds per sample", lambda row: row.microseconds, False),
    )
    drawn = [
        Panel(
            f"{metric} under attack, {title}",
            _chart(rows, price, lambda row: row.robust, title=name, more_is_better=more),
        )
        for title, name, price, more in prices
    ]
    proven = {row.name: row.certified for row in rows if row.certified is not None}
    if proven:
        title, name, price, more = prices[0]
        shown = [row for row in rows if row.name in proven]
        chart = _chart(shown, price, lambda row: proven[row.name], title=name, more_is_better=more)
        drawn.insert(1, Panel(f"Accuracy that is proven, {title}", chart))
    return drawn


def _chart(
    rows: Sequence[Compared],
    across: Number,
    up: Callable[[Compared], Measurement],
    *,
    title: str,
    more_is_better: bool,
) -> Markup:
    """Draw candidates as points, and a line through those that no other beats in this panel."""
    sign = 1 if more_is_better else -1

    def beaten(row: Compared) -> bool:
        here = (sign * across(row), up(row).value)
        others = ((sign * across(other), up(other).value) for other in rows)
        return any(o[0] >= here[0] and o[1] >= here[1] and o != here for o in others)

    best = sorted((row for row in rows if not beaten(row)), key=across)
    rest = [row for row in rows if beaten(row)]
    seen = [up(row) for row in rows]
    return charts.lines(
        [
            *(Line(row.name, "other", (_point(row, across, up),)) for row in rest),
            Line("frontier", "clean", tuple(_point(row, across, up) for row in best)),
        ],
        x=charts.around([across(row) for row in rows], zoomed=more_is_better),
        y=charts.around([end for found in seen for end in (found.lower, found.upper)], zoomed=True),
        x_title=title,
        label="; ".join(f"{row.name} {words.whole(up(row))} at {across(row):.3g}" for row in rows),
    )


def _point(row: Compared, across: Number, up: Callable[[Compared], Measurement]) -> Point:
    found = up(row)
    return Point(across(row), found.value, found.lower, found.upper, row.name)


def table(comparison: Comparison) -> Table:
    """Say every number of every candidate, those on the frontier first."""
    metric = words.METRICS[comparison.metric]
    proven = any(row.certified for row in comparison.candidates)
    grouped = any(row.unequal for row in comparison.candidates)
    head = (
        *("candidate", "frontier", "gates", f"{metric}, clean", f"{metric}, attacked"),
        *(("accuracy, proven",) if proven else ()),
        *(("widest difference between groups",) if grouped else ()),
        *("training", "answer", "passes per sample", "weights"),
        *("architecture", "recipe", "experiment"),
    )
    order = {name: rank for rank, name in enumerate(comparison.frontier)}
    rows = sorted(comparison.candidates, key=lambda row: order.get(row.name, len(order)))
    cells = (_cells(row, on=row.name in order, proven=proven, grouped=grouped) for row in rows)
    return Table(head, tuple(cells))


def _cells(row: Compared, *, on: bool, proven: bool, grouped: bool) -> tuple[str, ...]:
    refused = row.refused_by
    return (
        row.name,
        "yes" if on else "",
        "promotable" if refused is None else f"{refused.verdict.value}: {words.gate(refused.gate)}",
        *(_said(found) for found in (row.clean, row.robust)),
        *((_said(row.certified),) if proven else ()),
        *((_said(row.unequal),) if grouped else ()),
        words.duration(row.seconds),
        f"{words.number(row.microseconds)} µs",
        str(row.passes),
        f"{row.weights:,}",
        row.architecture,
        row.recipe,
        row.experiment,
    )


def _said(found: Measurement | None) -> str:
    return "" if found is None else f"{words.value(found)} ({words.interval(found)})"
