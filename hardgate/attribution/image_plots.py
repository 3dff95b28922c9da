"""Plots of images' attributions: single decisions beside their gradients, importance, deletion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hardgate import measurements
from hardgate.attribution import drawing
from hardgate.attribution.drawing import INK, NORMAL, SMALL
from hardgate.attribution.result import Attributions
from hardgate.attribution.trials import Array
from hardgate.records import ImageInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

SHOWN = 5  # decisions, from the surest to the least sure
BARS = 12
EDGE = 0.5  # brightness at which the image is outlined under its attributions
LOUDEST = 99.5  # percentile of a map that gets the full colour


def draw(found: Attributions, spec: ImageInput, directory: Path) -> list[Path]:
    """Write all plots of images."""
    faithfulness = found.measurements[measurements.explanation("deletion_faithfulness")]
    figures = {
        "importance": importance(found, spec),
        "images": images(found, spec),
        "deletion": drawing.deletion(found.deletion, faithfulness),
    }
    return [drawing.save(drawn, directory / f"{name}.png") for name, drawn in figures.items()]


def images(found: Attributions, spec: ImageInput) -> Figure:
    """Draw decisions in rows: the image, its SHAP values over it, the second opinion."""
    order = np.argsort(-found.outputs, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, SHOWN).round().astype(int))
    panel = drawing.figure(0.7 + 2.0 * len(places))
    grid = panel.subplots(len(places), 3, squeeze=False)
    for row, at in zip(grid, order[places], strict=True):
        picture = found.inputs[at].numpy()
        _image(row[0], picture)
        shown = _overlay(row[1], picture, found.values[at])
        _overlay(row[2], picture, found.second_opinion[at])
        row[0].set_ylabel(_verdict(found, spec, int(at)), fontsize=NORMAL, color=INK)
        row[0].yaxis.label.set(rotation=0, ha="right", va="center")
    for axes, title in zip(grid[0], ("image", "SHAP values", found.second_method), strict=True):
        axes.set_title(title, fontsize=NORMAL, color=INK)
    bar = panel.colorbar(
        shown, ax=grid, location="bottom", fraction=0.025, pad=0.01, aspect=40, ticks=[-1, 0, 1]
    )
    bar.ax.set_xticklabels(["speaks against", "0", "speaks for the class"], fontsize=NORMAL)
    bar.outline.set_visible(False)
    return panel


def importance(found: Attributions, spec: ImageInput) -> Figure:
    """Draw where importance lies, and the most important regions with intervals."""
    names = found.ranking()[:BARS]
    panel = drawing.figure(1.2 + 0.27 * len(names))
    where, which = panel.subplots(1, 2, width_ratios=(1, 1.1))
    height, width = spec.shape[1:]
    shares = np.array([found.importance[name].value for name in found.features.names])
    heat = where.imshow(shares[found.features.index[0].numpy()], cmap="cividis", vmin=0)
    where.set_title("Where importance lies", fontsize=drawing.LARGE, color=INK, loc="left")
    where.tick_params(labelsize=SMALL, colors=INK)
    where.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xlabel="x", ylabel="y")
    where.set_anchor("N")
    bar = panel.colorbar(heat, ax=where, location="bottom", fraction=0.05, pad=0.02)
    bar.set_label("mean |SHAP| of a region, log-odds", fontsize=NORMAL, color=INK)
    bar.outline.set_visible(False)
    drawing.bars(which, found.importance, names)
    drawing.tidy(which, title="Regions, 95 % intervals", xlabel="mean |SHAP|, log-odds")
    return panel


def _image(axes: Axes, picture: NDArray[np.float32]) -> None:
    """Draw an image as it is; of unusual numbers of channels the mean."""
    axes.set(xticks=[], yticks=[])
    if len(picture) == 3:
        axes.imshow(picture.transpose(1, 2, 0).clip(0, 1))
    else:
        axes.imshow(picture.mean(axis=0), cmap="gray", vmin=0, vmax=1)


def _overlay(axes: Axes, picture: NDArray[np.float32], values: Array) -> AxesImage:
    """Draw attributions in colour, with the image in outline."""
    summed = values.sum(axis=0)
    loudest = float(np.percentile(np.abs(summed), LOUDEST)) or 1.0
    axes.set(xticks=[], yticks=[])
    shown = axes.imshow(summed / loudest, cmap=drawing.diverging(), vmin=-1, vmax=1)
    grey = picture.mean(axis=0)
    if grey.min() < EDGE < grey.max():
        axes.contour(grey, levels=[EDGE], colors=drawing.GREY, linewidths=0.6)
    return shown


def _verdict(found: Attributions, spec: ImageInput, at: int) -> str:
    """Say what the model said and what is true."""
    chance = 100 / (1 + np.exp(-found.outputs[at]))
    shown = "> 99.9" if chance > 99.9 else f"{chance:.1f}"
    klass, label = spec.classes[int(found.classes[at])], spec.classes[int(found.labels[at])]
    return f"row {int(found.rows[at])}\nclass {klass}\nat {shown} %\n(label: {label})"
