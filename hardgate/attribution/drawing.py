"""One hand for all plots: sizes, colours, and the panels that tables and images share.

Figures are made without pyplot, whose state is global: stages run in threads. Colours are Okabe and
Ito's, which colour-blind readers can tell apart; text is readable at 700 pixels across.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hardgate import files
from hardgate.attribution.trials import Array, Deletion
from hardgate.records import Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

WIDTH = 7.0  # inches; 100 pixels each on the page, twice as many in the file
DOTS = 200
TOP = 15  # features shown; more do not fit a page
INK, GREY, PALE = "#222222", "#8C8C8C", "#DDDDDD"
AGAINST, FOR = "#0072B2", "#D55E00"
SMALL, NORMAL, LARGE = 9, 10, 12
LINE = 75  # large characters across
NAME = 30  # normal characters that leave room beside them


def figure(height: float) -> Figure:
    """Make an empty figure of the common width."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), dpi=DOTS, layout="constrained", facecolor="white")


def save(drawn: Figure, path: Path) -> Path:
    """Write a PNG, whole or not at all, that depends on nothing but what is drawn."""
    with files.replacing(path) as temporary:
        drawn.savefig(temporary, format="png", metadata={"Software": None})
    return path


def diverging() -> LinearSegmentedColormap:
    """Go from what speaks against, over white, to what speaks for."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("against-for", [AGAINST, "white", FOR])


def low_to_high() -> LinearSegmentedColormap:
    """Go from low to high values of a column; the middle stays visible on white."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("low-high", [AGAINST, "#C9C9C9", FOR])


def tidy(axes: Axes, *, title: str, xlabel: str) -> None:
    """Leave of the frame what is needed."""
    axes.set_title(title, fontsize=LARGE, color=INK, loc="left")
    axes.set_xlabel(xlabel, fontsize=NORMAL, color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelsize=NORMAL, colors=INK)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=PALE, linewidth=0.8)


def short(text: str) -> str:
    """Cut the middle of a name that would push the plot off the page; ends tell columns apart."""
    return text if len(text) <= NAME else f"{text[: NAME // 2]}…{text[1 - NAME // 2 :]}"


def head(drawn: Figure, text: str) -> None:
    """Head a whole figure with text that is too long for one panel."""
    lines = "\n".join(textwrap.wrap(text, LINE))
    drawn.suptitle(lines, fontsize=LARGE, color=INK, x=0.01, ha="left")


def bars(axes: Axes, importance: dict[str, Measurement], names: tuple[str, ...]) -> None:
    """Draw mean absolute attributions with their 95 % intervals, the largest on top."""
    shown = [importance[name] for name in names]
    values = np.array([measured.value for measured in shown])
    reach = np.array([[m.value - m.lower for m in shown], [m.upper - m.value for m in shown]])
    places = np.arange(len(names))[::-1]
    axes.barh(places, values, height=0.7, color=AGAINST)
    axes.errorbar(
        values, places, xerr=reach, fmt="none", ecolor=INK, elinewidth=1.2, capsize=3, capthick=1.2
    )
    axes.set_yticks(places, [short(name) for name in names])
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlim(left=0)


def deletion(drawn: Deletion, measured: Measurement) -> Figure:
    """Draw how far the output moves as features are deleted, named first or at random."""
    panel = figure(3.4)
    axes = panel.subplots()
    share = 100 * drawn.share
    for curves, colour, label, style in (
        (drawn.top, FOR, "highest attribution first", "-"),
        (drawn.random, GREY, "at random", "--"),
    ):
        middle, reach = curves.mean(axis=0), _interval(curves)
        axes.plot(share, middle, style, color=colour, marker="o", markersize=4, label=label)
        axes.fill_between(share, middle - reach, middle + reach, color=colour, alpha=0.2, lw=0)
    tidy(
        axes,
        title=f"Deletion faithfulness {measured.value:.2f} "
        f"[{measured.lower:.2f}, {measured.upper:.2f}]",
        xlabel="features deleted, %",
    )
    axes.set_ylabel("mean change of log-odds", fontsize=NORMAL, color=INK)
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=NORMAL)
    return panel


def _interval(curves: Array) -> Array:
    """Give the half width of the mean's 95 % interval at every step."""
    half: Array = 1.96 * curves.std(axis=0) / np.sqrt(len(curves))
    return half
