"""Many qualities of a few things as one picture: an axis for each quality, a line for each thing.

Inselberg (1985), "The plane with parallel coordinates". On every axis up is better, so a line that
lies below another everywhere is beaten, and two lines that cross are a trade-off. Positions are as
in :mod:`charts`: percent across, pixels down.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

LEFT, RIGHT, NAMES = 7.0, 68.0, 72.5  # percent: the first axis, the last, where names begin
TOP, DOWN = 72, 220  # pixels: where axes begin, and how long they are at least
LOWER = 30  # pixels by which every other axis is named below its neighbours: names are wide
NONE = 52  # pixels from an axis' foot to the place of what has no value on it
BELOW, CLOSE = 36, 24  # pixels below all that, for the names of the ends
LETTERS = 12  # of a name in one line, so that names fit beside the axes on a telephone
LINE = 15  # pixels from one line of a name to the next

SHAPES = (
    "M-5 0A5 5 0 1 1 5 0 5 5 0 1 1-5 0Z",
    "M0-6 6 0 0 6-6 0Z",
    "M-4.5-4.5H4.5V4.5H-4.5Z",
    "M0-6 5.5 4.5H-5.5Z",
    "M0 6 5.5-4.5H-5.5Z",
    "M-2-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
    "M0-7 2-2 7 0 2 2 0 7-2 2-7 0-2-2Z",
)
HUES = 6  # no divisor of the number of shapes, so that few paths share both
FAINT = "color-mix(in srgb, var(--soft) 45%, var(--paper))"
APART = 3  # pixels between the intervals of one axis


class Stop(NamedTuple):
    """Where a line meets an axis, and its interval: 0 at the foot, the worst, 1 at the head."""

    at: float
    low: float
    high: float


@dataclass(frozen=True)
class Axis:
    """A quality, and what stands at the best and the worst end."""

    title: str
    best: str
    worst: str


@dataclass(frozen=True)
class Path:
    """A thing: a place on every axis, or ``None`` where it has no value. Some are drawn strong."""

    name: str
    stops: tuple[Stop | None, ...]
    strong: bool
    said: str  # all numbers, in words


class Frame(NamedTuple):
    """The pixels from above: the head and foot of the axes, the place of nothing, and the end."""

    head: float
    foot: float
    none: float
    end: float


def draw(axes: Sequence[Axis], paths: Sequence[Path]) -> tuple[Markup, int]:
    """Draw paths over axes; give the picture and its height in pixels."""
    names = [textwrap.wrap(path.name, LETTERS) or [""] for path in paths]
    frame = _frame(paths, lines=sum(map(len, names)))
    ends = [_down(path.stops[-1], frame) for path in paths]
    tops = spread(ends, [LINE * len(name) for name in names], low=TOP - LINE, high=frame.end)
    drawn = [
        _path(path, rank, frame, _name(name, top, ends[rank]))
        for rank, (path, name, top) in enumerate(zip(paths, names, tops, strict=True))
    ]
    parts = [
        *(_axis(axis, at, len(axes), frame) for at, axis in enumerate(axes)),
        *(part for part, path in zip(drawn, paths, strict=True) if not path.strong),
        *(part for part, path in zip(drawn, paths, strict=True) if path.strong),
        *(_ends(axis, at, len(axes), frame) for at, axis in enumerate(axes)),
        *_absent(paths, len(axes), frame),
    ]
    height = round(frame.end)
    picture = Markup(
        '<svg class="chart parallel" width="100%" height="{}" role="img" aria-label="{}">{}</svg>'
    ).format(height, "; ".join(path.said for path in paths), Markup("").join(parts))
    return picture, height


def spread(
    wanted: Sequence[float], heights: Sequence[float], *, low: float, high: float
) -> list[float]:
    """Give the tops of blocks that are to lie around ``wanted`` and must not cover each other.

    They keep their order, and their distance if that is possible. Together they must fit between
    ``low`` and ``high``.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    tops, free = [0.0] * len(wanted), low
    for i in order:
        tops[i] = max(free, wanted[i] - heights[i] / 2)
        free = tops[i] + heights[i]
    free = high
    for i in reversed(order):
        tops[i] = min(tops[i], free - heights[i])
        free = tops[i]
    return tops


def _frame(paths: Sequence[Path], *, lines: int) -> Frame:
    """Make room for the names beside the axes, and for nothing below them if any path has it."""
    lacking = any(stop is None for path in paths for stop in path.stops)
    foot = TOP + max(DOWN, LINE * lines)
    none = foot + (NONE if lacking else 0)
    return Frame(TOP, foot, none, none + (CLOSE if lacking else BELOW))


def _across(at: int, axes: int) -> float:
    return LEFT + (RIGHT - LEFT) * at / max(1, axes - 1)


def _down(stop: Stop | None, frame: Frame) -> float:
    return frame.none if stop is None else _level(stop.at, frame)


def _level(at: float, frame: Frame) -> float:
    return frame.foot - (frame.foot - frame.head) * at


def _axis(axis: Axis, at: int, axes: int, frame: Frame) -> Markup:
    x, lower = _across(at, axes), LOWER * (at % 2)
    return Markup("").join(
        [
            _text(x, 12 + lower, axis.title, "must"),
            _line(x, 32 + lower, x, frame.foot, "grid"),
        ]
    )


def _ends(axis: Axis, at: int, axes: int, frame: Frame) -> Markup:
    x, lower = _across(at, axes), at % 2
    return Markup("").join(
        [
            _text(x, 27 + LOWER * lower, axis.best, "tick"),
            _text(x, frame.foot + 18 + 14 * lower, axis.worst, "tick"),
        ]
    )


def _absent(paths: Sequence[Path], axes: int, frame: Frame) -> list[Markup]:
    """Write ``none`` below each axis on which a path has no value."""
    lacking = [any(path.stops[at] is None for path in paths) for at in range(axes)]
    return [
        _text(_across(at, axes), frame.none + 17, "none", "tick")
        for at, lacks in enumerate(lacking)
        if lacks
    ]


def _path(path: Path, rank: int, frame: Frame, name: Markup) -> Markup:
    axes, aside = len(path.stops), APART * (rank % HUES - (HUES - 1) / 2)
    places = [(_across(at, axes), _down(stop, frame)) for at, stop in enumerate(path.stops)]
    lines = [_line(*here, *there, "line") for here, there in itertools.pairwise(places)]
    spans = [
        _line(x, _level(stop.low, frame), x, _level(stop.high, frame), "span", aside=aside)
        for (x, _), stop in zip(places, path.stops, strict=True)
        if stop is not None and path.strong
    ]
    marks = [_mark(x, y, rank) for x, y in places]
    return Markup('<g class="path {}" style="--hue: {}"><title>{}</title>{}</g>').format(
        "strong" if path.strong else "faint",
        f"var(--hue-{rank % HUES})" if path.strong else FAINT,
        path.said,
        Markup("").join([*spans, *lines, *marks, name]),
    )


def _name(lines: Sequence[str], top: float, end: float) -> Markup:
    """Write a name beside the end of its line, and join the two."""
    middle = top + LINE * len(lines) / 2
    written = [
        _text(NAMES, top + LINE * (at + 0.75), line, "name") for at, line in enumerate(lines)
    ]
    return Markup("").join([_line(RIGHT, end, NAMES - 1, middle, "lead"), *written])


def _mark(x: float, y: float, rank: int) -> Markup:
    return Markup('<svg x="{:.2f}%" y="{:.1f}" overflow="visible"><path d="{}"/></svg>').format(
        x, y, SHAPES[rank % len(SHAPES)]
    )


def _line(x1: float, y1: float, x2: float, y2: float, cls: str, *, aside: float = 0) -> Markup:
    moved = Markup(' transform="translate({:g})"').format(aside) if aside else ""
    return Markup('<line class="{}" x1="{:.2f}%" y1="{:.1f}" x2="{:.2f}%" y2="{:.1f}"{}/>').format(
        cls, x1, y1, x2, y2, moved
    )


def _text(x: float, y: float, text: str, cls: str) -> Markup:
    return Markup('<text class="{}" x="{:.2f}%" y="{:.1f}">{}</text>').format(cls, x, y, text)
