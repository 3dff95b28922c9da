"""Why the model decides as it does, and how far that can be relied on."""

from __future__ import annotations

import re

from markupsafe import Markup

from hardgate.reporting import charts, words
from hardgate.reporting.charts import Scale
from hardgate.reporting.parts import Entry, Figure
from hardgate.reporting.run import Picture, Run

MOST = 20  # features that are shown
REGION = re.compile(r"y (\d+)-(\d+), x (\d+)-(\d+)")  # as hardgate.attribution.features names them
MOVABLE = "◆"


def importance(run: Run) -> Figure | None:
    """Rank what decides over all samples."""
    ranked = sorted(run.attributions.importance.items(), key=lambda item: -item[1])
    if not ranked:
        return None
    scale, movable = Scale(0.0, ranked[0][1] or 1.0), run.params.threat.movable
    notes = ["mean absolute SHAP value"]
    notes += [f"{MOVABLE} an attacker can move it"] if movable else []
    notes += [f"the first {MOST} of {len(ranked)}"] if len(ranked) > MOST else []
    return Figure(
        "Importance",
        tuple(
            Entry(
                f"{MOVABLE} {name}" if name in movable else name,
                "",
                charts.bar(number, scale, label=f"{name}: {words.number(number)}"),
                (words.number(number),),
            )
            for name, number in ranked[:MOST]
        ),
        ("", ""),
        "; ".join(notes),
    )


def regions(run: Run) -> Markup | None:
    """Draw importance where it lies, when the reasons are regions of an image."""
    cells = []
    for name, number in run.attributions.importance.items():
        match = REGION.fullmatch(name)
        if match is None:
            return None
        top, bottom, left, right = map(int, match.groups())
        cells.append((charts.Box(left, top, right, bottom), number))
    if not cells:
        return None
    most = max(run.attributions.importance.items(), key=lambda item: item[1])[0]
    return charts.regions(cells, label=f"Importance by region; the most important is {most}")


def properties(run: Run) -> tuple[tuple[str, str, str], ...]:
    """Say how far the explanations can be relied on: property, value, interval and samples."""
    return tuple(
        (
            words.PROPERTIES.get(name.partition("/")[2], words.spaced(name.partition("/")[2])),
            words.value(found),
            f"{words.interval(found)}, {words.count(found.samples, 'sample')}",
        )
        for name, found in run.measured.items()
        if name.startswith("explanation/")
    )


def first(run: Run) -> list[Picture]:
    """Give the plots that show all decisions at once."""
    return [picture for picture in run.plots if not _is_detail(picture)]


def details(run: Run) -> list[Picture]:
    """Give the plots of single decisions, and what is drawn on the page already."""
    return [picture for picture in run.plots if _is_detail(picture)]


def _is_detail(picture: Picture) -> bool:
    return picture.name == "importance" or picture.name.startswith("decision")


def caption(picture: Picture) -> str:
    """Say what a plot shows, by its file's name."""
    if picture.name in words.PLOTS:
        return words.PLOTS[picture.name]
    text = re.sub(r"[_-]+", " ", picture.name).strip()
    return text[:1].upper() + text[1:]
