"""How groups of people fare, on clean inputs and under attack."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hardgate import groups, measurements
from hardgate.records import Measurement, TableInput
from hardgate.reporting import charts, words
from hardgate.reporting.charts import Scale, Style
from hardgate.reporting.parts import WHOLE, Entry, Figure, ends, said
from hardgate.reporting.run import Run

RATE = re.compile(
    r"fairness/(?P<column>[^/]+)/(?P<situation>clean|under_attack)/"
    r"(?P<kind>group|small_group)/(?P<group>[^/]+)/(?P<rate>[^/]+)"
)
DIFFERENCE = re.compile(
    r"fairness/(?P<column>[^/]+)/(?P<situation>clean|under_attack)/(?P<measure>\w+)_difference"
)
STYLES: dict[str, Style] = {"clean": "clean", "under_attack": "attacked"}


class Found(NamedTuple):
    """One rate of one group in one situation."""

    column: str
    rate: str
    group: str
    situation: str
    small: bool
    measured: Measurement


@dataclass(frozen=True)
class Column:
    """A sensitive column: the differences between its groups, and the groups' rates."""

    name: str
    differences: tuple[tuple[str, str, str], ...]  # name, clean, under attack
    figures: tuple[Figure, ...]
    judged: bool  # by a gate


def columns(run: Run) -> tuple[Column, ...]:
    """Show each sensitive column, first those that a gate asks about."""
    found = [
        Found(m["column"], m["rate"], m["group"], m["situation"], m["kind"] == "small_group", seen)
        for name, seen in run.measured.items()
        if (m := RATE.fullmatch(name))
    ]
    order = _order(run)
    found.sort(key=lambda each: order.get((each.column, each.group), len(order)))
    judged = {
        measurements.word(gate.column)
        for gate in run.params.promotion.gates
        if gate.kind == "fairness"
    }
    names = dict.fromkeys(each.column for each in found)
    return tuple(
        Column(
            name=words.unword(column),
            differences=_differences(run, column),
            figures=tuple(
                _figure(rate, shown)
                for rate in words.RATES
                if (shown := [each for each in found if (each.column, each.rate) == (column, rate)])
            ),
            judged=column in judged,
        )
        for column in sorted(names, key=lambda name: name not in judged)
    )


def _order(run: Run) -> dict[tuple[str, str], int]:
    """Rank the groups of all columns as their column has them: ages rise."""
    spec, asked = run.dataset.input, run.params.evaluation.fairness
    if asked is None or not isinstance(spec, TableInput):
        return {}
    known = [
        (measurements.word(label), measurements.word(group))
        for label, columns in asked.compared(spec).items()
        for group in groups.names(spec, columns, asked.bins)
    ]
    return {pair: rank for rank, pair in enumerate(known)}


def _differences(run: Run, column: str) -> tuple[tuple[str, str, str], ...]:
    found: dict[str, dict[str, Measurement]] = {}
    for name, seen in run.measured.items():
        match = DIFFERENCE.fullmatch(name)
        if match and match["column"] == column:
            found.setdefault(match["measure"], {})[match["situation"]] = seen
    return tuple(
        (words.spaced(measure), _brief(seen.get("clean")), _brief(seen.get("under_attack")))
        for measure, seen in found.items()
    )


def _brief(found: Measurement | None) -> str:
    return said([found])[0] if found else "not measured"


def _figure(rate: str, found: Sequence[Found]) -> Figure:
    """Draw one rate of all groups, clean and under attack below each other."""
    low = min(0.0, *(each.measured.lower for each in found))
    high = max(each.measured.upper for each in found)
    scale = WHOLE if low == 0 and high > 0.5 else charts.around([low, high])
    title, note = words.RATES[rate]
    named = dict.fromkeys(each.group for each in found)
    entries = tuple(_entry([e for e in found if e.group == group], scale) for group in named)
    return Figure(title, entries, ends(scale), note)


def _entry(sides: Sequence[Found], scale: Scale) -> Entry:
    ordered = sorted(sides, key=lambda each: list(STYLES).index(each.situation))
    size = words.count(max(each.measured.samples for each in ordered), "sample")
    small = any(each.small for each in ordered)
    return Entry(
        words.unword(ordered[0].group),
        f"{size}, too few to be judged" if small else size,
        charts.intervals([(STYLES[each.situation], each.measured) for each in ordered], scale),
        said([each.measured for each in ordered]),
    )
