"""Plots of a table's attributions: importance, beeswarm, single decisions, deletion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hardgate import measurements
from hardgate.attribution import drawing
from hardgate.attribution.drawing import AGAINST, FOR, GREY, INK, NORMAL, SMALL
from hardgate.attribution.result import Attributions
from hardgate.attribution.trials import Array
from hardgate.records import Column, ColumnType, TableInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEPS = 10  # columns shown in a single decision; the others are summed
BINS = 80  # of the beeswarm, across
LOWEST = 4.2  # inches that the beeswarm's legend needs
THICKNESS = 0.4  # of a swarm, in distances between columns


def draw(found: Attributions, spec: TableInput, directory: Path) -> list[Path]:
    """Write all plots of a table."""
    faithfulness = found.measurements[measurements.explanation("deletion_faithfulness")]
    figures = {
        "importance": importance(found),
        "beeswarm": beeswarm(found, spec),
        "deletion": drawing.deletion(found.deletion, faithfulness),
        **{
            f"decision-{name}": decision(found, spec, at, name)
            for name, at in found.telling().items()
        },
    }
    return [drawing.save(drawn, directory / f"{name}.png") for name, drawn in figures.items()]


def importance(found: Attributions) -> Figure:
    """Draw the most important columns with intervals."""
    names = found.ranking()[: drawing.TOP]
    panel = drawing.figure(1.2 + 0.27 * len(names))
    axes = panel.subplots()
    drawing.bars(axes, found.importance, names)
    drawing.tidy(axes, title="Importance, with 95 % intervals", xlabel="mean |SHAP|, log-odds")
    return panel


def beeswarm(found: Attributions, spec: TableInput) -> Figure:
    """Draw one dot per row and column: where it pushes, coloured by the value it has."""
    names = found.ranking()[: drawing.TOP]
    panel = drawing.figure(max(LOWEST, 1.5 + 0.36 * len(names)))
    axes = panel.subplots()
    columns = {column.name: (at, column) for at, column in enumerate(spec.columns)}
    axes.axvline(0, color=GREY, linewidth=1)
    for place, name in enumerate(reversed(names)):
        at, column = columns[name]
        pushes, shades = found.values[:, at], _shades(found.inputs[:, at].numpy(), column)
        heights = place + _swarm(pushes, found.values)
        plain = np.isnan(shades)
        axes.scatter(pushes[plain], heights[plain], s=7, color=GREY, linewidths=0)
        dots = axes.scatter(
            pushes[~plain],
            heights[~plain],
            c=shades[~plain],
            cmap=drawing.low_to_high(),
            vmin=0,
            vmax=1,
            s=7,
            linewidths=0,
        )
    axes.set_yticks(range(len(names)), [drawing.short(name) for name in reversed(names)])
    axes.set_ylim(-0.6, len(names) - 0.4)
    drawing.tidy(axes, title="Every decision's attributions", xlabel=_pushes(spec))
    bar = panel.colorbar(dots, ax=axes, fraction=0.03, pad=0.02, ticks=[0, 1])
    bar.ax.set_yticklabels(["low", "high"], fontsize=NORMAL)
    bar.set_label("the column's value (grey: category or missing)", fontsize=SMALL, color=INK)
    bar.outline.set_visible(False)
    return panel


def decision(found: Attributions, spec: TableInput, at: int, name: str) -> Figure:
    """Draw one decision as steps from the average output to this row's."""
    values = found.values[at]
    order = np.argsort(-np.abs(values), kind="stable")
    shown = order[:STEPS] if len(order) > STEPS + 1 else order
    rest = order[len(shown) :]
    row = found.inputs[at].tolist()
    labels = [_cell(spec.columns[i], row[i]) for i in shown]
    pushes = [float(values[i]) for i in shown]
    if len(rest):
        labels.append(f"{len(rest)} other columns")
        pushes.append(float(values[rest].sum()))
    panel = drawing.figure(1.9 + 0.3 * len(labels))
    axes = panel.subplots()
    _steps(axes, float(found.base[at]), pushes, labels)
    klass, label = spec.classes[int(found.classes[at])], spec.classes[int(found.labels[at])]
    chance = 1 / (1 + np.exp(-found.outputs[at]))
    which = "an output in between" if name == "between" else f"the {name} output"
    drawing.tidy(
        axes,
        title="",
        xlabel=f"log-odds of class {klass}, from the average {_signed(found.base[at])} "
        f"to {_signed(found.outputs[at])}",
    )
    title = (
        f"Row {int(found.rows[at])}, {which}: "
        f"class {klass} at {100 * chance:.0f} % (label: {label})"
    )
    drawing.head(panel, title)
    return panel


def _steps(axes: Axes, start: float, pushes: list[float], labels: list[str]) -> None:
    """Draw the steps, the largest on top, each from where the one below it ended."""
    ends = start + np.cumsum(pushes[::-1])
    begins = np.concatenate([[start], ends[:-1]])
    span = max(float(np.ptp([start, *ends])), 1e-9)
    for place, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        push = end - begin
        axes.barh(place, push, left=begin, height=0.7, color=FOR if push > 0 else AGAINST)
        axes.plot([end, end], [place - 0.35, place + 1.35], color=GREY, linewidth=0.8)
        axes.text(
            max(begin, end) + 0.01 * span,
            place,
            _signed(push),
            va="center",
            fontsize=SMALL,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    axes.axvline(start, color=GREY, linewidth=1, linestyle=":")
    axes.set_yticks(range(len(labels)), labels[::-1])
    axes.set_ylim(-0.6, len(labels) - 0.2)
    axes.set_xlim(min(start, ends.min()) - 0.05 * span, max(start, ends.max()) + 0.13 * span)


def _swarm(pushes: Array, every: Array) -> Array:
    """Spread dots that would lie on each other up and down, densest places widest."""
    edges = np.linspace(every.min(), every.max() + 1e-12, BINS + 1)
    bins = np.digitize(pushes, edges)
    heights = np.zeros(len(pushes))
    for bin_ in np.unique(bins):
        inside = np.flatnonzero(bins == bin_)  # in the order drawn, which is random: no patterns
        sides = np.where(np.arange(len(inside)) % 2, 1, -1)
        heights[inside] = sides * ((np.arange(len(inside)) + 1) // 2)
    widest = np.abs(heights).max()
    spread: Array = heights * min(0.06, THICKNESS / max(widest, 1))
    return spread


def _shades(cells: NDArray[np.float32], column: Column) -> Array:
    """Rank a column's values to [0, 1]; NaN for what is no amount."""
    shades = np.full(len(cells), np.nan)
    present = ~np.isnan(cells)
    if column.type is ColumnType.CATEGORICAL or not present.any():
        return shades
    known, places, counts = np.unique(cells[present], return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    shades[present] = middle[places] / max(int(counts.sum()) - 1, 1)
    return shades if len(known) > 1 else np.where(present, 0.5, np.nan)


def _cell(column: Column, value: float) -> str:
    """Write a cell the way its owner would."""
    name = drawing.short(column.name)
    if np.isnan(value) or (column.type is ColumnType.CATEGORICAL and value < 0):
        return f"{name}: missing"
    if column.type is ColumnType.CATEGORICAL:
        return f"{name} = {drawing.short(column.categories[int(value)])}"
    if column.type is ColumnType.INTEGER:
        return f"{name} = {value:,.0f}"
    return f"{name} = {value:.4g}"


def _signed(number: float) -> str:
    return f"{number:+.2f}".replace("-", "−")


def _pushes(spec: TableInput) -> str:
    what = f"class {spec.classes[1]}" if len(spec.classes) == 2 else "the predicted class"
    return f"SHAP value, log-odds towards {what}"
