"""A comparison of candidates: what each is good at, what it costs, and which no other beats."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hardgate import statistics
from hardgate.comparison import Compared, Comparison
from hardgate.records import Measurement
from hardgate.reporting import charts, parallel, words
from hardgate.reporting.charts import Line, Point, Scale
from hardgate.reporting.parallel import Axis, Path, Stop
from hardgate.reporting.parts import Table

WIDTH = 760  # pixels of the picture in a file of its own
LEAST = 1e-3  # where an axis of factors begins; nothing that it shows is less

Number = Callable[[Compared], float]
Found = Callable[[Compared], Measurement | None]


@dataclass(frozen=True)
class Picture:
    """All qualities of all candidates, and what each quality is."""

    chart: Markup
    height: int
    meanings: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Panel:
    """One chart and what it is about."""

    title: str
    chart: Markup


@dataclass(frozen=True)
class Quality:
    """Something to be good at: what it is, where it is found, and how it is drawn.

    ``factors`` draws by how many times one number is another, where twice as much is what counts.
    """

    title: str
    meaning: str
    found: Found
    said: Callable[[float], str]
    more_is_better: bool = True
    from_zero: bool = False
    factors: bool = False


def picture(comparison: Comparison) -> Picture | None:
    """Draw what every candidate is worth in everything, those on the frontier in ink."""
    rows = _ordered(comparison)
    if not rows:
        return None
    shown = [quality for quality in _qualities(comparison) if any(map(quality.found, rows))]
    drawn = [_axis(quality, rows) for quality in shown]
    paths = [
        Path(
            row.name,
            tuple(stops[at] for _, stops in drawn),
            strong=row.name in comparison.frontier,
            said=_in_words(row, shown),
        )
        for at, row in enumerate(rows)
    ]
    chart, height = parallel.draw([axis for axis, _ in drawn], paths)
    meanings: dict[str, str] = {}
    for quality in shown:
        before = f"{meanings[quality.title]} and " if quality.title in meanings else ""
        meanings[quality.title] = before + quality.meaning
    return Picture(chart, height, tuple(meanings.items()))


def _ordered(comparison: Comparison) -> list[Compared]:
    """Give the candidates on the frontier first, best first."""
    order = {name: rank for rank, name in enumerate(comparison.frontier)}
    return sorted(comparison.candidates, key=lambda row: order.get(row.name, len(order)))


def _qualities(comparison: Comparison) -> Iterator[Quality]:
    """List what a candidate can be good at, in the order of the picture.

    The last axis is where names stand, so it is one on which candidates hardly ever meet.
    """
    metric = words.METRICS[comparison.metric]
    metric = metric if metric.isupper() else metric.lower()
    yield Quality("clean", f"{metric} on clean inputs", lambda row: row.clean, words.plain)
    yield Quality("robust", f"{metric} under the worst attack", lambda row: row.robust, words.plain)
    yield Quality("certified", "accuracy that is proven", lambda row: row.certified, words.plain)
    if any(row.epsilon for row in comparison.candidates):
        yield Quality(
            "private",
            "epsilon of training, by factors",
            lambda row: row.epsilon,
            lambda value: f"ε {value:.3g}",
            more_is_better=False,
            factors=True,
        )
    else:
        yield Quality(
            "private",
            "AUC of the attack that tells training rows apart best; no candidate bounds its "
            "epsilon, and what an attack cannot do is no proof, so the frontier leaves it out",
            lambda row: row.membership,
            words.plain,
            more_is_better=False,
        )
    yield Quality(
        "fair",
        "widest difference between groups in who is selected",
        lambda row: row.unequal,
        words.plain,
        more_is_better=False,
        from_zero=True,
    )
    yield Quality(
        "fast",
        "time to answer one sample",
        lambda row: statistics.exact(row.microseconds, 1),
        lambda value: f"answer {value:.3g} µs" if value < 100 else f"answer {value:,.0f} µs",
        more_is_better=False,
        factors=True,
    )
    yield Quality(
        "fast",
        "time of training, by factors",
        lambda row: statistics.exact(row.seconds, 1),
        lambda value: f"train {words.duration(value)}",
        more_is_better=False,
        factors=True,
    )


def _axis(quality: Quality, rows: Sequence[Compared]) -> tuple[Axis, list[Stop | None]]:
    """Lay a quality's axis through all that was measured, and place every candidate on it."""
    found = [quality.found(row) for row in rows]
    ends = [end for seen in found if seen for end in (seen.lower, seen.upper)]
    if quality.factors:
        scale = Scale(_log(min(ends)), _log(max(ends)))
        low, high = quality.said(min(ends)), quality.said(max(ends))
    else:
        scale = charts.around(ends, zoomed=not quality.from_zero)
        low, high = quality.said(scale.low), quality.said(scale.high)
    best, worst = (high, low) if quality.more_is_better else (low, high)

    def place(value: float) -> float:
        share = scale.at(_log(value) if quality.factors else value) / 100
        return share if quality.more_is_better else 1 - share

    stops = [
        Stop(place(seen.value), *sorted((place(seen.lower), place(seen.upper)))) if seen else None
        for seen in found
    ]
    return Axis(quality.title, best, worst if worst != best else ""), stops


def _log(value: float) -> float:
    return math.log(max(value, LEAST))


def _in_words(row: Compared, shown: Sequence[Quality]) -> str:
    found = ((quality, quality.found(row)) for quality in shown)
    said = (
        f"{quality.title} {_brief(quality, seen) if seen else 'none'}" for quality, seen in found
    )
    return f"{row.name}: {', '.join(said)}"


def _brief(quality: Quality, seen: Measurement) -> str:
    return quality.said(seen.value) if quality.factors else _said(seen)


def panels(comparison: Comparison) -> list[Panel]:
    """Draw robustness against clean quality, and proof too where any is proven."""
    metric = words.METRICS[comparison.metric]
    rows = comparison.candidates
    if not rows:
        return []
    title = f"{metric}, clean"
    drawn = [
        Panel(
            f"{metric} under attack, against clean quality",
            _chart(rows, lambda row: row.robust, title=title),
        )
    ]
    proven = {row.name: row.certified for row in rows if row.certified is not None}
    if proven:
        shown = [row for row in rows if row.name in proven]
        chart = _chart(shown, lambda row: proven[row.name], title=title)
        drawn.append(Panel("Accuracy that is proven, against clean quality", chart))
    return drawn


def _chart(
    rows: Sequence[Compared], up: Callable[[Compared], Measurement], *, title: str
) -> Markup:
    """Draw candidates as points, and a line through those that no other beats in this panel."""

    def beaten(row: Compared) -> bool:
        here = (row.clean.value, up(row).value)
        others = ((other.clean.value, up(other).value) for other in rows)
        return any(o[0] >= here[0] and o[1] >= here[1] and o != here for o in others)

    best = sorted((row for row in rows if not beaten(row)), key=lambda row: row.clean.value)
    rest = [row for row in rows if beaten(row)]
    seen = [up(row) for row in rows]
    return charts.lines(
        [
            *(Line(row.name, "other", (_point(row, up),)) for row in rest),
            Line("frontier", "clean", tuple(_point(row, up) for row in best)),
        ],
        x=charts.around([row.clean.value for row in rows], zoomed=True),
        y=charts.around([end for found in seen for end in (found.lower, found.upper)], zoomed=True),
        x_title=title,
        label="; ".join(
            f"{row.name} {words.whole(up(row))} at {row.clean.value:.3g}" for row in rows
        ),
    )


def _point(row: Compared, up: Callable[[Compared], Measurement]) -> Point:
    found = up(row)
    return Point(row.clean.value, found.value, found.lower, found.upper, row.name)


def prices(comparison: Comparison) -> Table | None:
    """Say what each candidate gains and pays beside the one that it is a change of."""
    rows = comparison.candidates
    if len(rows) < 2:
        return None
    metric = words.METRICS[comparison.metric]
    columns: list[tuple[str, Callable[[Compared, Compared], str]]] = [
        (f"{metric}, clean", lambda row, base: _change(row.clean, base.clean)),
        (f"{metric}, attacked", lambda row, base: _change(row.robust, base.robust)),
    ]
    if any(row.certified for row in rows):
        columns.append(
            ("accuracy, proven", lambda row, base: _change(row.certified, base.certified))
        )
    if any(row.epsilon for row in rows):
        columns.append(("epsilon", lambda row, _: _epsilon(row)))
    if any(row.unequal for row in rows):
        columns.append(("between groups", lambda row, base: _change(row.unequal, base.unequal)))
    columns += [
        ("training", lambda row, base: _times(row.seconds, base.seconds, words.duration)),
        ("answer", lambda row, base: _times(row.microseconds, base.microseconds, _microseconds)),
    ]
    pairs = [(row, _beside(row, rows)) for row in rows]
    return Table(
        ("control", "beside", *(title for title, _ in columns)),
        tuple(
            (row.name, base.name, *(say(row, base).replace(" (", "\n(") for _, say in columns))
            for row, base in pairs
            if base is not row
        ),
    )


def _beside(row: Compared, rows: Sequence[Compared]) -> Compared:
    """Choose what a candidate is a change of.

    One that keeps the model's own defence changes the model as it is. All others, and that one,
    are beside the undefended: the first of the standard recipe that keeps no budget; the first of
    all, if there is none.
    """
    plain = (other for other in rows if other.recipe == "standard" and other.epsilon is None)
    undefended = next(plain, rows[0])
    own = next((other for other in rows if not other.changes), undefended)
    return own if row.changes and "defense" not in row.changes else undefended


def _change(found: Measurement | None, base: Measurement | None) -> str:
    """Say by how much a number differs; where one is missing, there is no difference."""
    if found is None or base is None:
        return ""
    gap = statistics.difference(found, base)
    exact = gap.lower == gap.upper
    ends = "exact" if exact else f"{_signed(gap.lower)} to {_signed(gap.upper)}"
    return f"{_signed(gap.value)} ({ends})"


def _signed(value: float) -> str:
    said = f"{abs(value):.{words.DECIMALS}f}"
    return f"{'−' if value < 0 else '+'}{said}" if float(said) else said


def _times(taken: float, base: float, said: Callable[[float], str]) -> str:
    if taken == base:
        return "the same"
    gap = taken - base
    change = f"{'−' if gap < 0 else '+'}{said(abs(gap))}"
    return f"{change} ({taken / base:.1f} times)" if base > 0 else change


def _microseconds(value: float) -> str:
    return f"{words.number(value)} µs"


def _epsilon(row: Compared) -> str:
    """Say epsilon with the delta at which it holds."""
    if row.epsilon is None:
        return ""
    return f"{row.epsilon.value:.3f}" + (f" (delta {row.delta.value:.2g})" if row.delta else "")


def table(comparison: Comparison) -> Table:
    """Say every number of every candidate, those on the frontier first."""
    metric = words.METRICS[comparison.metric]
    measured: tuple[tuple[str, Found, Callable[[Compared], str]], ...] = (
        ("accuracy, proven", lambda row: row.certified, lambda row: _said(row.certified)),
        ("epsilon", lambda row: row.epsilon, _epsilon),
        ("training rows told, AUC", lambda row: row.membership, lambda row: _said(row.membership)),
        ("named at 1 % false alarms", lambda row: row.named, lambda row: _said(row.named)),
        (
            "widest difference between groups",
            lambda row: row.unequal,
            lambda row: _said(row.unequal),
        ),
    )
    shown = [
        (title, say) for title, found, say in measured if any(map(found, comparison.candidates))
    ]
    head = (
        *("candidate", "frontier", "gates", f"{metric}, clean", f"{metric}, attacked"),
        *(title for title, _ in shown),
        *("training", "answer", "passes per sample", "weights"),
        *("architecture", "recipe", "experiment"),
    )
    cells = (
        _cells(row, tuple(say(row) for _, say in shown), on=row.name in comparison.frontier)
        for row in _ordered(comparison)
    )
    return Table(head, tuple(cells))


def _cells(row: Compared, measured: tuple[str, ...], *, on: bool) -> tuple[str, ...]:
    refused = row.refused_by
    return (
        row.name,
        "yes" if on else "",
        "promotable" if refused is None else f"{refused.verdict.value}: {words.gate(refused.gate)}",
        *(_said(found) for found in (row.clean, row.robust)),
        *measured,
        words.duration(row.seconds),
        _microseconds(row.microseconds),
        str(row.passes),
        f"{row.weights:,}",
        row.architecture,
        row.recipe,
        row.experiment,
    )


def _said(found: Measurement | None) -> str:
    return "" if found is None else f"{words.value(found)} ({words.interval(found)})"
