"""The page and the plot of a comparison."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest

from hardgate import comparison, reporting, statistics
from hardgate.comparison import Compared, Comparison, Failed
from hardgate.records import Finding, Verdict
from hardgate.reporting import frontiers

SVG = "{http://www.w3.org/2000/svg}"


def row(name, clean, robust, certified, seconds, verdict=Verdict.PASSED):
    finding = Finding(
        gate="robust_auc/worst_case",
        verdict=verdict,
        observed=None,
        bound=0.6,
        condition="lower end at least 0.6",
        message="too low",
    )
    return Compared(
        name=name,
        experiment=f"compare-tiny-{name}-0123456789ab",
        architecture="mlp",
        recipe="pgd",
        weights=1234,
        passes=6,
        epochs=3,
        seconds=seconds,
        microseconds=2.5,
        clean=statistics.wilson(round(100 * clean), 100),
        robust=statistics.wilson(round(100 * robust), 100),
        certified=None if certified is None else statistics.exact(certified, 100),
        findings=(finding,),
    )


ROWS = (
    row("plain", 0.95, 0.02, 0.0, 3.0, Verdict.FAILED),
    row("hardened", 0.90, 0.80, 0.30, 9.0),
    row("slower", 0.88, 0.78, 0.20, 12.0),
)


def found(rows=ROWS, failed=()):
    return Comparison(
        model="tiny",
        metric="accuracy",
        eps=0.1,
        norm="Linf",
        basis="0" * 64,
        commit="abc",
        compared_at="2026-06-01T12:00:00+00:00",
        candidates=rows,
        failed=failed,
        frontier=comparison.frontier(rows),
    )


def test_the_table_has_the_frontier_first_and_the_first_refusal():
    table = frontiers.table(found())
    assert [line[:2] for line in table.rows] == [
        ("hardened", "yes"),
        ("plain", "yes"),
        ("slower", ""),
    ]
    gates = table.head.index("gates")
    assert [line[gates] for line in table.rows] == [
        "promotable",
        "failed: Robust AUC, worst case",
        "promotable",
    ]


def test_groups_have_a_column_where_any_were_compared():
    assert "widest difference between groups" not in frontiers.table(found()).head
    fair = ROWS[1].model_copy(update={"unequal": statistics.wilson(9, 100)})
    table = frontiers.table(found((ROWS[0], fair)))
    at = table.head.index("widest difference between groups")
    assert {line[0]: line[at] for line in table.rows} == {
        "plain": "",
        "hardened": "0.090 (0.048 to 0.162)",
    }


def test_a_panel_draws_its_own_frontier():
    (robust, proven) = frontiers.panels(found())
    for panel in (robust, proven):
        (line,) = re.findall(r'<polyline class="line clean" points="([^"]+)"', panel.chart)
        assert len(line.split()) == 2  # plain is cleanest, hardened safest; slower is beaten
    unproven = tuple(row(name, 0.9, 0.5, None, 1.0) for name in ("one", "other"))
    assert len(frontiers.panels(found(unproven))) == 1


def test_names_of_points_in_one_place_do_not_cover_each_other():
    crowd = tuple(row(f"c{at}", 0.9 + at / 1000, 0.5, None, 1.0) for at in range(5))
    (panel,) = frontiers.panels(found(crowd))
    downs = sorted(map(float, re.findall(r'class="mark[^"]*" x="[^"]+" y="([^"]+)"', panel.chart)))
    assert len(downs) == 5
    assert all(below - above >= 12 for above, below in itertools.pairwise(downs))


@pytest.mark.parametrize("name", [one.name for one in ROWS])
def test_every_candidate_is_named_in_the_file_of_the_picture(name):
    root = ElementTree.fromstring(reporting.draw_frontier(found()))
    assert [text.text for text in root.iter(f"{SVG}text")].count(name) == 1


def changed(at, **measured):
    return ROWS[at].model_copy(
        update={name: statistics.exact(value, 100) for name, value in measured.items()}
    )


PRIVATE = changed(1, epsilon=2.9981, delta=1e-5, membership=0.5, named=0.01, unequal=0.1)


def titles(drawn):
    return re.findall(r'<text class="must"[^>]*>([^<]+)<', drawn.chart)


def groups(drawn):
    """Give the class of each line, and where it meets the axes, in pixels from above."""
    return {
        group[1]: (
            group[0],
            [float(y) for y in re.findall(r'<svg x="[^"]+" y="([^"]+)"', group[2])],
        )
        for group in re.findall(
            r'<g class="path (\w+)"[^>]*><title>([^:]+):[^<]*</title>(.*?)</g>', drawn.chart
        )
    }


def test_the_picture_has_an_axis_for_each_quality_that_anybody_has():
    times = ["fast", "fast"]
    all_of_them = frontiers.picture(found((ROWS[0], PRIVATE)))
    assert titles(all_of_them) == ["clean", "robust", "certified", "private", "fair", *times]
    assert titles(frontiers.picture(found())) == ["clean", "robust", "certified", *times]
    bare = (row("one", 0.9, 0.5, None, 1.0), row("other", 0.8, 0.6, None, 1.0))
    assert titles(frontiers.picture(found(bare))) == ["clean", "robust", *times]


def test_better_is_up_on_every_axis_and_nothing_is_below_the_worst():
    best = changed(1, epsilon=1.0, delta=1e-5, unequal=0.1)
    worse = row("worse", 0.7, 0.1, 0.1, 90.0).model_copy(
        update={
            "epsilon": statistics.exact(8.0, 100),
            "unequal": statistics.exact(0.3, 100),
            "microseconds": 9.0,
        }
    )
    none = row("none", 0.6, 0.0, None, 95.0)
    drawn = frontiers.picture(found((none, worse, best)))
    upper, lower, last = (groups(drawn)[name][1] for name in ("hardened", "worse", "none"))
    assert len(upper) == 7
    assert all(high < low for high, low in zip(upper, lower, strict=True))
    assert last[2] == last[3] == last[4] > max(upper + lower)  # proof, epsilon, groups


def test_the_frontier_is_strong_and_the_rest_is_faint():
    shown = groups(frontiers.picture(found()))
    assert {name: kind for name, (kind, _) in shown.items()} == {
        "hardened": "strong",
        "plain": "strong",
        "slower": "faint",
    }


def test_times_lie_by_factors():
    rows = [row(f"c{at}", 0.9, 0.5, None, 10.0**at) for at in range(3)]
    shown = groups(frontiers.picture(found(tuple(rows))))
    first, middle, last = (shown[one.name][1][-1] for one in rows)
    assert middle - first == pytest.approx(last - middle)


def test_privacy_is_told_by_an_attack_where_no_epsilon_bounds_it():
    attacked = (changed(0, membership=0.6), changed(1, membership=0.5))
    drawn = frontiers.picture(found(attacked))
    assert dict(drawn.meanings)["private"].startswith("AUC of the attack")
    at = titles(drawn).index("private")
    assert groups(drawn)["hardened"][1][at] < groups(drawn)["plain"][1][at]
    bounded = frontiers.picture(found((attacked[0], PRIVATE)))
    assert dict(bounded.meanings)["private"].startswith("epsilon")
    assert "private none" in bounded.chart


def test_one_candidate_alone_is_drawn_at_its_best_and_has_no_price():
    alone = found((PRIVATE.model_copy(update={"seconds": 0.0}),))
    drawn = frontiers.picture(alone)
    assert len(titles(drawn)) == 7
    (kind, downs) = groups(drawn)["hardened"]
    assert kind == "strong"
    assert downs[3] == downs[5] == downs[6] == min(downs)
    assert frontiers.prices(alone) is None
    ElementTree.fromstring(reporting.draw_frontier(alone))


def test_privacy_has_columns_where_any_was_measured():
    heads = ("epsilon", "training rows told, AUC", "named at 1 % false alarms")
    assert not set(heads) & set(frontiers.table(found()).head)
    table = frontiers.table(found((ROWS[0], PRIVATE)))
    cells = {line[0]: [line[table.head.index(head)] for head in heads] for line in table.rows}
    assert cells == {
        "plain": ["", "", ""],
        "hardened": ["2.998 (delta 1e-05)", "0.500 (exact)", "0.010 (exact)"],
    }


def test_each_control_has_its_price_beside_the_undefended_candidate():
    plain = ROWS[0].model_copy(update={"recipe": "standard"})
    prices = frontiers.prices(found((ROWS[1], plain, ROWS[2])))
    assert prices.head == (
        *("control", "beside", "Accuracy, clean", "Accuracy, attacked", "accuracy, proven"),
        *("training", "answer"),
    )
    assert prices.rows[0] == (
        "hardened",
        "plain",
        "−0.050\n(−0.130 to +0.026)",
        "+0.780\n(+0.678 to +0.848)",
        "+0.300\n(exact)",
        "+6.0 s\n(3.0 times)",
        "the same",
    )
    assert [line[0] for line in prices.rows] == ["hardened", "slower"]


def test_without_an_undefended_candidate_prices_are_beside_the_first():
    private = PRIVATE.model_copy(update={"recipe": "standard"})  # a budget is a control
    prices = frontiers.prices(found((ROWS[2], private)))
    at = [prices.head.index(head) for head in ("beside", "epsilon", "between groups")]
    assert [prices.rows[0][place] for place in at] == ["slower", "2.998\n(delta 1e-05)", ""]


def test_a_change_of_the_model_as_it_is_has_its_price_beside_that():
    plain = ROWS[0].model_copy(update={"recipe": "standard", "changes": ("defense",)})
    reweighed = ROWS[2].model_copy(update={"changes": ("group_weights",)})
    other = row("other", 0.9, 0.7, None, 5.0).model_copy(update={"changes": ("defense", "epochs")})
    pairs = [line[:2] for line in frontiers.prices(found((plain, ROWS[1], reweighed, other))).rows]
    assert pairs == [("hardened", "plain"), ("slower", "hardened"), ("other", "plain")]
    alone = frontiers.prices(found((plain, reweighed)))
    assert [line[:2] for line in alone.rows] == [("slower", "plain")]


def test_a_price_beside_no_time_at_all_has_no_factor():
    free = ROWS[0].model_copy(update={"recipe": "standard", "seconds": 0.0})
    (line,) = frontiers.prices(found((free, ROWS[1]))).rows
    assert "+9.0 s" in line


def test_the_page_loads_and_runs_nothing_and_spells_what_failed():
    failed = Failed(name="lost", reason="<script>alert(1)</script>")
    page = reporting.render_comparison(found(failed=(failed,)))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r"@import|url\(|https?://", page)
    assert "compare-tiny-hardened-0123456789ab" in page


def test_a_comparison_in_which_all_failed_still_has_a_page():
    page = reporting.render_comparison(found((), (Failed(name="lost", reason="why"),)))
    assert "0 candidates measured" in page
    ElementTree.fromstring(reporting.draw_frontier(found((), (Failed(name="l", reason="w"),))))
