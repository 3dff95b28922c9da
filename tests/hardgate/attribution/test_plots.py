from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from hardgate.attribution import explain
from hardgate.records import Column, ColumnType, TableInput
from hardgate.samples import Samples

CPU = torch.device("cpu")


def assert_drawn(path):
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape[1] == 1400
    assert pixels[:3, :, :].min() > 200  # nothing is cut off at the top
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    assert 0.005 < (pixels.min(axis=2) < 200).mean() < 0.9


def test_a_tables_plots_are_written_and_not_blank(
    explaining, table, additive, train, test, tmp_path
):
    found = explain(
        explaining, table, additive, train=train, test=test, seed=4, device=CPU, perturb=None
    )
    paths = found.plot(tmp_path / "plots", table)
    assert [path.name for path in paths] == [
        "importance.png",
        "beeswarm.png",
        "deletion.png",
        "decision-highest.png",
        "decision-between.png",
        "decision-lowest.png",
    ]
    for path in paths:
        assert_drawn(path)
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == sorted(
        path.name for path in paths
    )


def test_images_plots_are_written_and_not_blank(
    explaining_images, pictures, network, image_train, image_test, tmp_path
):
    found = explain(
        explaining_images,
        pictures,
        network,
        train=image_train,
        test=image_test,
        seed=4,
        device=CPU,
        perturb=None,
    )
    paths = found.plot(tmp_path, pictures)
    assert [path.name for path in paths] == ["importance.png", "images.png", "deletion.png"]
    for path in paths:
        assert_drawn(path)


def test_plots_do_not_touch_the_global_state_of_pyplot(
    explaining, table, additive, train, test, tmp_path
):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    found = explain(
        explaining, table, additive, train=train, test=test, seed=4, device=CPU, perturb=None
    )
    found.plot(tmp_path, table)
    assert pyplot.get_fignums() == []


def test_three_classes_only_categories_and_long_names_are_drawn_too(explaining, tmp_path):
    columns = tuple(
        Column(
            name=f"a column with a rather long name, number {number}",
            type=ColumnType.CATEGORICAL,
            categories=("x", "y"),
            mean=0,
            scale=1,
            low=0,
            high=1,
        )
        for number in range(2)
    )
    spec = TableInput(kind="table", columns=columns, classes=("one", "two", "three" * 9))
    generator = torch.Generator().manual_seed(0)

    def rows(count):
        inputs = torch.randint(-1, 2, (count, 2), generator=generator).float()
        return Samples(inputs, torch.zeros(count, dtype=torch.int64), torch.arange(count))

    class Codes(torch.nn.Module):
        def forward(self, inputs):
            return torch.stack([inputs[:, 0], inputs[:, 1], inputs[:, 0] * inputs[:, 1]], dim=1)

    found = explain(
        explaining, spec, Codes(), train=rows(50), test=rows(50), seed=4, device=CPU, perturb=None
    )
    # Categories have neither noise nor gradients: unmeasured, not passed.
    assert "explanation/rank_stability_noise" not in found.measurements
    assert "explanation/second_opinion" not in found.measurements
    for path in found.plot(tmp_path, spec):
        assert_drawn(path)
