"""Axes side by side: where lines, ends and names lie."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest

from hardgate.reporting import parallel
from hardgate.reporting.parallel import Axis, Path, Stop

AXES = (Axis("clean", "1", "0"), Axis("robust", "0.8", "0.2"), Axis("fast", "1 s", "9 s"))
HEAD = parallel.TOP
FOOT = parallel.TOP + parallel.DOWN
HOSTILE = ('"><script>alert(1)</script>', "m" * 40, "a-" * 19 + "aa", "ψ" * 40, "a b\n\tc", "")


def path(name, *places, strong=True):
    stops = tuple(None if at is None else Stop(at, at - 0.1, at + 0.1) for at in places)
    return Path(name, stops, strong=strong, said=f"{name}: said")


def drawn(*paths, axes=AXES):
    picture, height = parallel.draw(axes, paths)
    root = ElementTree.fromstring(picture)
    assert root.get("height") == str(height)
    return root


def lines(root, cls):
    return [
        tuple(float(line.get(key).rstrip("%")) for key in ("x1", "y1", "x2", "y2"))
        for line in root.iter("line")
        if line.get("class") == cls
    ]


def texts(root, cls):
    return [
        (text.text or "", float(text.get("x").rstrip("%")), float(text.get("y")))
        for text in root.iter("text")
        if text.get("class") == cls
    ]


def test_a_line_goes_from_axis_to_axis_and_better_is_up():
    middle = (parallel.LEFT + parallel.RIGHT) / 2
    assert lines(drawn(path("one", 1.0, 0.0, 0.5)), "line") == [
        (parallel.LEFT, HEAD, middle, FOOT),
        (middle, FOOT, parallel.RIGHT, (HEAD + FOOT) / 2),
    ]


def test_axes_are_named_in_order_with_the_best_end_above_and_the_worst_below():
    root = drawn(path("one", 1.0, 0.0, 0.5))
    assert [text for text, _, _ in texts(root, "must")] == ["clean", "robust", "fast"]
    downs = {text: down for text, _, down in texts(root, "tick")}
    assert all(downs[axis.best] < HEAD < FOOT < downs[axis.worst] for axis in AXES)


def test_neighbours_are_named_in_different_rows():
    downs = [down for _, _, down in texts(drawn(path("one", 1.0, 0.0, 0.5)), "must")]
    assert downs[0] == downs[2] == downs[1] - parallel.LOWER


def test_what_has_no_value_lies_below_the_worst_and_is_called_none():
    root = drawn(path("one", 0.0, None, 0.5), path("other", 1.0, 1.0, None))
    here, there, *_ = lines(root, "line")
    assert here[3] == there[1] == FOOT + parallel.NONE
    assert [across for text, across, _ in texts(root, "tick") if text == "none"] == [
        pytest.approx((parallel.LEFT + parallel.RIGHT) / 2),
        parallel.RIGHT,
    ]
    assert len(lines(root, "span")) == 4


def test_there_is_no_place_for_nothing_where_nobody_lacks_anything():
    whole, lacking = (drawn(path("one", 0.5, at, 0.5)).get("height") for at in (0.5, None))
    assert int(whole) < int(lacking)


def test_strong_paths_lie_above_faint_ones_and_keep_their_intervals():
    root = drawn(path("strong", 0.5, 0.5, 0.5), path("faint", 0.6, 0.6, 0.6, strong=False))
    groups = list(root.iter("g"))
    assert [group.get("class") for group in groups] == ["path faint", "path strong"]
    assert [len(lines(group, "span")) for group in groups] == [0, 3]


def test_no_two_of_many_paths_share_both_hue_and_shape():
    root = drawn(*(path(f"p{at}", 0.5, 0.5, 0.5) for at in range(42)))
    kinds = {(group.get("style"), group.find("svg/path").get("d")) for group in root.iter("g")}
    assert len(kinds) == 42


def test_names_stand_at_the_ends_of_their_lines_when_there_is_room():
    root = drawn(path("high", 0.5, 0.5, 0.9), path("low", 0.5, 0.5, 0.1))
    leads = [(x1, y1, y2) for x1, y1, _, y2 in lines(root, "lead")]
    assert leads == [
        (parallel.RIGHT, pytest.approx(y), pytest.approx(y))
        for y in (FOOT - 0.9 * parallel.DOWN, FOOT - 0.1 * parallel.DOWN)
    ]


@pytest.mark.parametrize("places", [[0.5] * 30, [0.0] * 30, [1.0] * 30, [None] * 30])
def test_names_do_not_cover_each_other_and_stay_within_the_picture(places):
    root = drawn(*(path(f"candidate-{at}", 0.5, 0.5, end) for at, end in enumerate(places)))
    downs = sorted(down for _, _, down in texts(root, "name"))
    assert len(downs) == 30
    assert all(below - above >= 12 for above, below in itertools.pairwise(downs))
    assert downs[0] > 0
    assert downs[-1] <= float(root.get("height"))


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_spelled_out_in_short_lines(name):
    root = drawn(path(name, 0.5, 0.5, 0.5), path("other", 0.5, 0.5, 0.5))
    written = [text for text, _, _ in texts(root, "name") if text != "other"]
    assert "".join(written) == re.sub(r"\s", "", name) or name == "a b\n\tc"
    assert all(len(text) <= parallel.LETTERS for text in written)


def test_one_path_over_one_axis_is_drawn():
    root = drawn(path("one", 0.5), axes=AXES[:1])
    assert lines(root, "line") == []
    assert [text for text, _, _ in texts(root, "name")] == ["one"]


@pytest.mark.parametrize(
    ("wanted", "heights", "expected"),
    [
        ([50, 10], [10, 10], [45, 5]),
        ([20, 20, 20], [10, 10, 10], [15, 25, 35]),
        ([0, 100], [10, 10], [0, 90]),
        ([99, 98], [10, 20], [90, 70]),
        ([], [], []),
    ],
    ids=["free", "tied", "at-the-ends", "pushed-up", "none"],
)
def test_blocks_are_spread_in_their_order(wanted, heights, expected):
    assert parallel.spread(wanted, heights, low=0, high=100) == expected
