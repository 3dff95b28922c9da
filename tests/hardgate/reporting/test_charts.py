from __future__ import annotations

import re

import pytest

from hardgate import statistics
from hardgate.records import Measurement
from hardgate.reporting import charts
from hardgate.reporting.charts import Bound, Box, Line, Mark, Point, Scale

FOUND = Measurement(value=0.75, lower=0.7, upper=0.8, samples=100, interval="wilson")


def test_an_interval_is_drawn_where_its_numbers_are() -> None:
    drawn = charts.intervals([("passed", FOUND)], Scale(0.5, 1.0), bound=Bound(0.6, "lower"))
    assert 'class="span passed" x="40.00%" width="20.00%"' in drawn
    assert '<svg x="50.00%" y="12.0"' in drawn
    assert 'class="allowed" x="20.00%" width="80.00%"' in drawn
    assert 'class="bound" x1="20.00%"' in drawn


def test_what_must_stay_below_is_allowed_on_the_left() -> None:
    drawn = charts.intervals([("passed", FOUND)], Scale(0.0, 1.0), bound=Bound(0.9, "upper"))
    assert 'class="allowed" x="0.00%" width="90.00%"' in drawn
    assert ">at most 0.9</text>" in drawn


def test_a_bound_without_a_measurement_is_still_drawn() -> None:
    drawn = charts.intervals([], Scale(0.0, 1.0), bound=Bound(0.5, "lower"))
    assert "no measurement; the lower end is compared with 0.5" in drawn
    assert "span" not in drawn


def test_the_name_of_a_bound_at_the_edge_stays_within_the_chart() -> None:
    left = charts.intervals([], Scale(0.0, 1.0), bound=Bound(0.0, "upper"))
    right = charts.intervals([], Scale(0.0, 1.0), bound=Bound(1.0, "lower"))
    assert 'class="must first" x="0.00%"' in left
    assert 'class="must left" x="100.00%"' in right


def test_what_lies_beyond_a_scale_is_cut_off() -> None:
    assert Scale(0.0, 1.0).at(1.7) == 100
    assert Scale(0.0, 1.0).at(-3) == 0
    assert Scale(2.0, 2.0).at(2.0) == 0


def test_each_style_has_another_shape() -> None:
    shapes = [
        re.search(r' d="([^"]+)"', charts.intervals([(style, FOUND)], Scale(0, 1)))[1]
        for style in ("clean", "attacked", "other")
    ]
    assert len(set(shapes)) == 3


def test_a_line_has_a_band_where_its_points_have_intervals() -> None:
    points = (Point(0, 1.0, 0.9, 1.0), Point(2, 0.5, 0.4, 0.6))
    drawn = charts.lines(
        [Line("a", "attacked", points), Line("b", "clean", (Point(0, 0), Point(1, 1)))],
        x=Scale(0, 2),
        y=Scale(0, 1),
        x_title="eps",
        label="two lines",
    )
    assert drawn.count("<polygon") == 1
    assert 'points="0.00,0.00 100.00,40.00 100.00,60.00 0.00,10.00"' in drawn
    assert 'class="line attacked" points="0.00,0.00 100.00,50.00"' in drawn
    assert 'class="line clean" points="0.00,100.00 50.00,0.00"' in drawn


@pytest.mark.parametrize(("x", "side"), [(0.2, 'mark"'), (0.9, 'mark left"')])
def test_a_mark_is_named_on_the_side_with_room(x: float, side: str) -> None:
    drawn = charts.lines(
        [], x=Scale(0, 1), y=Scale(0, 1), x_title="", label="", marks=[Mark(x, "here")]
    )
    assert f'<text class="{side}' in drawn


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (Scale(0, 1), [0, 0.25, 0.5, 0.75, 1]),
        (Scale(0.65, 0.8), [0.65, 0.7, 0.75, 0.8]),
        (Scale(0, 1.2), [0, 0.5, 1]),
        (Scale(0, 30_000), [0, 10_000, 20_000, 30_000]),
        (Scale(3, 3), [3, 3.25, 3.5, 3.75, 4]),
    ],
)
def test_ticks_are_round(scale: Scale, expected: list[float]) -> None:
    found = charts.ticks(scale)
    assert found == pytest.approx(expected[: len(found)])
    assert len(found) in (1, len(expected))


def test_ticks_of_epochs_are_whole() -> None:
    assert charts.ticks(Scale(1, 10), whole=True) == [3, 6, 9]
    assert charts.ticks(Scale(1, 3), whole=True) == [1, 2, 3]


def test_a_scale_around_values_has_round_ends() -> None:
    assert charts.around([0.46, 0.64]) == pytest.approx(Scale(0.0, 0.8))
    assert charts.around([0.66, 0.78], zoomed=True) == pytest.approx(Scale(0.65, 0.8))
    assert charts.around([0.0]).high > 0
    assert charts.around([]).high > 0


def test_a_label_is_escaped() -> None:
    drawn = charts.bar(1.0, Scale(0, 2), label='"><script>')
    assert "<script>" not in drawn
    assert 'width="50.00%"' in drawn


def test_regions_lie_where_they_are_named() -> None:
    drawn = charts.regions([(Box(0, 0, 3, 3), 1.0), (Box(4, 0, 7, 3), 2.0)], label="map")
    assert 'viewBox="0 0 8 4"' in drawn
    assert '<rect x="4" y="0" width="4" height="4" style="--ink-share:100%"/>' in drawn
    assert "--ink-share:50%" in drawn


def test_a_region_map_of_nothing_but_zeros_is_drawn_without_ink() -> None:
    assert "--ink-share:0%" in charts.regions([(Box(0, 0, 1, 1), 0.0)], label="map")


def test_an_exact_number_is_a_dot_without_width() -> None:
    drawn = charts.intervals([("passed", statistics.exact(0.5, 3))], Scale(0, 1))
    assert 'width="0.00%"' in drawn
