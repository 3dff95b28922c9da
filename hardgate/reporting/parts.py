"""The shapes that pages are made of; ``templates/parts.html`` has one macro for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hardgate.records import Measurement
from hardgate.reporting import words
from hardgate.reporting.charts import Scale

WHOLE = Scale(0.0, 1.0)

Facts = tuple[tuple[str, str], ...]  # names and what is said of them


@dataclass(frozen=True)
class Entry:
    """A line of a figure: a name, a small chart, and its numbers in words."""

    name: str
    note: str
    chart: Markup
    said: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """Entries over one scale, whose ends are named."""

    title: str
    entries: tuple[Entry, ...]
    ends: tuple[str, str]
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table of words; the first cell of a row names it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def said(found: Sequence[Measurement]) -> tuple[str, ...]:
    """Say measurements with their intervals."""
    return tuple(f"{words.value(each)} ({words.interval(each)})" for each in found)


def ends(scale: Scale) -> tuple[str, str]:
    """Name the ends of a scale."""
    return words.plain(scale.low), words.plain(scale.high)
