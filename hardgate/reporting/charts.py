"""Charts as small inline SVG, drawn by hand: crisp at every width, a few hundred bytes each.

Across, positions are percentages, so that a chart fills what width it gets while its text keeps
its size; down, they are pixels. Colours and strokes stand in ``templates/style.css`` by class, so
that they follow the reader's light or dark scheme. What is told by colour is also told by shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from markupsafe import Markup

from hardgate.records import Measurement
from hardgate.reporting import words

Style = Literal["clean", "attacked", "other", "passed", "failed", "unmeasured"]

MARKERS: dict[Style, str] = {
    "attacked": "M0-5.5 5.5 0 0 5.5-5.5 0Z",
    "failed": "M0-5.5 5.5 0 0 5.5-5.5 0Z",
    "other": "M-4.5-4.5H4.5V4.5H-4.5Z",
}
CIRCLE = "M-5 0A5 5 0 1 1 5 0 5 5 0 1 1-5 0Z"

AT = {"lower": "at least", "upper": "at most"}
STEP = 14  # pixels between intervals below each other
CROWDED = 15.0  # percent of the width that half of a bound's name may take
LEFT, ACROSS = 10.0, 87.0  # percent of the width: where a line chart's plot begins, how wide it is
TOP, DOWN, BELOW = 24, 170, 44  # pixels
NEAR, SMALL = 16.0, 12.0  # percent and pixels within which two names would meet
ROOM = 55.0  # percent: a name that begins further right would leave the chart


class Scale(NamedTuple):
    """The range that a chart shows."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Give the position of a value in percent, cut off at the ends."""
        span = self.high - self.low or 1.0
        return 100 * min(1.0, max(0.0, (value - self.low) / span))


class Bound(NamedTuple):
    """What an interval must keep, and which of its ends is asked."""

    value: float
    end: Literal["lower", "upper"]


class Box(NamedTuple):
    """A rectangle of pixels, its last row and column included."""

    left: int
    top: int
    right: int
    bottom: int


class Point(NamedTuple):
    """A point of a line, with its interval and its name where there are such."""

    x: float
    y: float
    lower: float | None = None
    upper: float | None = None
    name: str = ""


@dataclass(frozen=True)
class Line:
    """A line of a chart."""

    name: str
    style: Style
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Mark:
    """A place on the x axis worth naming."""

    x: float
    text: str


def intervals(
    found: Sequence[tuple[Style, Measurement]], scale: Scale, *, bound: Bound | None = None
) -> Markup:
    """Draw measurements of one thing as intervals below each other.

    With a bound, the bound is drawn beside them and named below, as are the scale's ends.
    """
    height = STEP * max(1, len(found)) + 10
    parts = [
        _tag("rect", cls="track", x="0", width="100%", y=height / 2 - 1, height=2),
        *_bound(bound, scale, height),
    ]
    for row, (style, measured) in enumerate(found):
        y = 12 + STEP * row
        left, right = scale.at(measured.lower), scale.at(measured.upper)
        parts.append(
            _tag(
                "rect",
                cls=f"span {style}",
                x=_percent(left),
                width=_percent(right - left),
                y=y - 3,
                height=6,
                rx=3,
            )
        )
        parts.append(_marker(style, scale.at(measured.value), y))
    said = "; ".join(f"{style} {words.whole(measured)}" for style, measured in found)
    if bound is None:
        return _chart(parts, height=height, label=said)
    limit = f"the {bound.end} end is compared with {words.plain(bound.value)}"
    return _chart(
        [*parts, *_names(bound, scale, height + 14)],
        height=height + 18,
        label=f"{said or 'no measurement'}; {limit}",
    )


def _names(bound: Bound, scale: Scale, down: float) -> list[Markup]:
    """Name the bound below its line, and the ends of the scale where there is room beside it."""
    at = scale.at(bound.value)
    side = "first" if at < CROWDED else "left" if at > 100 - CROWDED else "centred"
    names = [_text(at, down, f"{AT[bound.end]} {words.plain(bound.value)}", f"must {side}")]
    if at >= 2 * CROWDED:
        names.append(_text(0, down, words.plain(scale.low), "tick first"))
    if at <= 100 - 2 * CROWDED:
        names.append(_text(100, down, words.plain(scale.high), "tick left"))
    return names


def _bound(bound: Bound | None, scale: Scale, height: int) -> list[Markup]:
    """Draw the bound as a line, and the side that passes as a field."""
    if bound is None:
        return []
    at = scale.at(bound.value)
    start, width = (at, 100 - at) if bound.end == "lower" else (0.0, at)
    return [
        _tag(
            "rect",
            cls="allowed",
            x=_percent(start),
            width=_percent(width),
            y=2,
            height=height - 4,
        ),
        _tag("line", cls="bound", x1=_percent(at), x2=_percent(at), y1=0, y2=height),
    ]


def bar(value: float, scale: Scale, *, label: str) -> Markup:
    """Draw one number as a bar from the scale's low end."""
    width = _percent(scale.at(value))
    return _chart(
        [_tag("rect", cls="bar", x="0", y=4, width=width, height=12, rx=2)], height=20, label=label
    )


def lines(
    drawn: Sequence[Line],
    *,
    x: Scale,
    y: Scale,
    x_title: str,
    label: str,
    marks: Sequence[Mark] = (),
    whole: bool = False,
) -> Markup:
    """Draw lines over a grid, each with a band where its points have intervals.

    ``whole`` keeps ticks of the x axis to whole numbers.
    """
    plot = [part for line in drawn for part in _band_and_line(line, x, y)]
    inner = Markup("").join(
        [
            *(_rule(x.at(mark.x)) for mark in marks),
            *plot,
        ]
    )
    frame = Markup(
        '<svg x="{}%" y="{}" width="{}%" height="{}" viewBox="0 0 100 100" '
        'preserveAspectRatio="none" overflow="visible">{}</svg>'
    ).format(LEFT, TOP, ACROSS, DOWN, inner)
    points = [
        _marker(line.style, _across(x, point.x), _down(y, point.y))
        for line in drawn
        for point in line.points
    ]
    named = [
        *(_name(x, mark) for mark in marks),
        *_beside([point for line in drawn for point in line.points if point.name], x, y),
    ]
    return _chart(
        [*_grid(x, y, x_title, whole=whole), frame, *points, *named],
        height=TOP + DOWN + BELOW,
        label=label,
        kind="plot",
    )


def _band_and_line(line: Line, x: Scale, y: Scale) -> list[Markup]:
    upper = [(x.at(p.x), 100 - y.at(p.upper)) for p in line.points if p.upper is not None]
    lower = [(x.at(p.x), 100 - y.at(p.lower)) for p in line.points if p.lower is not None]
    centre = [(x.at(p.x), 100 - y.at(p.y)) for p in line.points]
    drawn = [Markup('<polyline class="line {}" points="{}"/>').format(line.style, _path(centre))]
    if upper and lower:
        around = _path([*upper, *reversed(lower)])
        drawn.insert(0, Markup('<polygon class="band {}" points="{}"/>').format(line.style, around))
    return drawn


def _rule(at: float) -> Markup:
    return Markup('<path class="rule" d="M{0:.2f} 0V100"/>').format(at)


def _name(x: Scale, mark: Mark) -> Markup:
    """Write a mark's name on the side where there is room."""
    if x.at(mark.x) > ROOM:
        return _text(_across(x, mark.x) + 2, TOP - 9, mark.text, "mark left")
    return _text(_across(x, mark.x) - 2, TOP - 9, mark.text, "mark")


def _beside(points: Sequence[Point], x: Scale, y: Scale) -> list[Markup]:
    """Write each point's name on the side where there is room, above names that are there."""
    named: list[Markup] = []
    taken: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda point: point.y):
        across, down = _across(x, point.x), _down(y, point.y) - 9
        while any(abs(across - a) < NEAR and abs(down - d) < SMALL for a, d in taken):
            down -= 1
        taken.append((across, down))
        left = x.at(point.x) > ROOM
        aside = -0.5 if left else 0.5
        named.append(_text(across + aside, down, point.name, "mark left" if left else "mark"))
    return named


def _grid(x: Scale, y: Scale, x_title: str, *, whole: bool) -> list[Markup]:
    bottom = TOP + DOWN
    parts = []
    for tick in ticks(y):
        at = _down(y, tick)
        parts.append(
            _tag(
                "line",
                cls="grid",
                x1=_percent(LEFT),
                x2=_percent(LEFT + ACROSS),
                y1=round(at, 1),
                y2=round(at, 1),
            )
        )
        parts.append(_text(LEFT - 1.5, at + 4, words.plain(tick), "tick left"))
    parts += [
        _text(_across(x, tick), bottom + 17, words.plain(tick), "tick")
        for tick in ticks(x, whole=whole)
    ]
    parts.append(_text(LEFT + ACROSS / 2, bottom + 36, x_title, "axis"))
    return parts


def ticks(scale: Scale, *, whole: bool = False) -> list[float]:
    """Choose some four round numbers within a scale, or whole ones."""
    rough = (scale.high - scale.low or 1.0) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    if whole:
        step = float(max(1, math.ceil(step)))
    first = math.ceil(scale.low / step - 1e-9)
    last = math.floor(scale.high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def around(values: Sequence[float], *, zoomed: bool = False) -> Scale:
    """Choose a scale of round ends for some values, from zero unless ``zoomed``."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    low = low if zoomed else min(0.0, low)
    steps = ticks(Scale(low, high if high > low else low + 1))
    step = steps[1] - steps[0] if len(steps) > 1 else 1.0
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Scale(first * step, max(last, first + 1) * step)


def regions(cells: Sequence[tuple[Box, float]], *, label: str) -> Markup:
    """Draw rectangles, the larger the number, the more ink."""
    right = max(box.right for box, _ in cells) + 1
    bottom = max(box.bottom for box, _ in cells) + 1
    most = max(number for _, number in cells) or 1.0
    drawn = Markup("").join(
        Markup('<rect x="{}" y="{}" width="{}" height="{}" style="--ink-share:{:.0f}%"/>').format(
            box.left,
            box.top,
            box.right - box.left + 1,
            box.bottom - box.top + 1,
            100 * number / most,
        )
        for box, number in cells
    )
    return Markup(
        '<svg class="chart regions" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(right, bottom, label, drawn)


def _marker(style: Style, across: float, down: float) -> Markup:
    return Markup(
        '<svg x="{}" y="{:.1f}" overflow="visible"><path class="dot {}" d="{}"/></svg>'
    ).format(_percent(across), down, style, MARKERS.get(style, CIRCLE))


def _chart(parts: Sequence[Markup], *, height: float, label: str, kind: str = "small") -> Markup:
    return Markup(
        '<svg class="chart {}" width="100%" height="{:g}" role="img" aria-label="{}">{}</svg>'
    ).format(kind, height, label, Markup("").join(parts))


def _text(across: float, down: float, text: str, cls: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{:.1f}">{}</text>').format(
        cls, _percent(across), down, text
    )


def _tag(name: str, *, cls: str, **attributes: object) -> Markup:
    said = Markup(" ").join(
        Markup('{}="{}"').format(key, value) for key, value in {"class": cls, **attributes}.items()
    )
    return Markup("<{} {}/>").format(Markup(name), said)  # noqa: S704  names are ours


def _percent(value: float) -> str:
    return f"{value:.2f}%"


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in points)


def _across(x: Scale, value: float) -> float:
    return LEFT + ACROSS * x.at(value) / 100


def _down(y: Scale, value: float) -> float:
    return TOP + DOWN * (1 - y.at(value) / 100)
