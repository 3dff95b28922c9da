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


def test_each_price_has_a_panel_and_proof_has_one_where_any_is_proven():
    assert len(frontiers.panels(found())) == 4
    unproven = tuple(row(name, 0.9, 0.5, None, 1.0) for name in ("one", "other"))
    assert len(frontiers.panels(found(unproven))) == 3


def test_a_panel_draws_its_own_frontier():
    (_, _, training, _) = frontiers.panels(found())
    (line,) = re.findall(r'<polyline class="line clean" points="([^"]+)"', training.chart)
    assert len(line.split()) == 2  # plain is fastest, hardened more robust; slower is beaten


@pytest.mark.parametrize("name", [one.name for one in ROWS])
def test_every_candidate_is_named_in_the_plot(name):
    root = ElementTree.fromstring(reporting.draw_frontier(found()))
    assert [text.text for text in root.iter(f"{SVG}text")].count(name) == 4


def test_names_of_points_in_one_place_do_not_cover_each_other():
    crowd = tuple(row(f"c{at}", 0.9 + at / 1000, 0.5, None, 1.0) for at in range(5))
    (_, training, _) = frontiers.panels(found(crowd))
    downs = sorted(
        map(float, re.findall(r'class="mark[^"]*" x="[^"]+" y="([^"]+)"', training.chart))
    )
    assert len(downs) == 5
    assert all(below - above >= 12 for above, below in itertools.pairwise(downs))


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
