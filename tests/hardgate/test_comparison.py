"""Pareto's order over candidates, and the section that names them."""

from __future__ import annotations

import itertools

import pytest
import yaml
from pydantic import ValidationError

from hardgate import comparison, params, statistics
from hardgate.comparison import Compared, Comparing, Comparison, Failed
from hardgate.errors import ParamsError
from hardgate.records import Finding, Verdict
from tests.conftest import TINY

TEXT = (TINY / "params.yaml").read_text(encoding="utf-8")


def finding(verdict):
    return Finding(
        gate="robust_auc/worst_case",
        verdict=verdict,
        observed=None,
        bound=0.6,
        condition="lower end at least 0.6",
        message="too low",
    )


def candidate(name, clean, robust, certified=None, seconds=1.0, microseconds=1.0, **changed):
    proven = None if certified is None else statistics.exact(certified, 100)
    return Compared(
        name=name,
        experiment=f"compare-tiny-{name}-0",
        architecture="mlp",
        recipe="pgd",
        weights=10,
        passes=6,
        epochs=3,
        seconds=seconds,
        microseconds=microseconds,
        clean=statistics.exact(clean, 100),
        robust=statistics.exact(robust, 100),
        certified=proven,
        **{
            name: statistics.exact(changed[name], 100)
            for name in ("unequal", "epsilon", "delta", "membership")
            if name in changed
        },
        findings=changed.get("findings", (finding(Verdict.PASSED),)),
    )


BASE = {
    "clean": 0.9,
    "robust": 0.5,
    "certified": 0.3,
    "unequal": 0.2,
    "epsilon": 3.0,
    "delta": 0.15,
    "seconds": 10.0,
    "microseconds": 5.0,
}
COSTS = ("unequal", "epsilon", "delta", "seconds", "microseconds")


@pytest.mark.parametrize(
    ("merit", "better"),
    [
        ("clean", 0.91),
        ("robust", 0.51),
        ("certified", 0.31),
        ("unequal", 0.1),
        ("epsilon", 2.9),
        ("delta", 0.14),
        ("seconds", 9.0),
        ("microseconds", 4.0),
    ],
)
def test_better_in_one_thing_and_equal_in_the_rest_dominates(merit, better):
    worse, best = candidate("worse", **BASE), candidate("best", **{**BASE, merit: better})
    assert comparison.dominates(best, worse)
    assert not comparison.dominates(worse, best)
    assert comparison.frontier([worse, best]) == ("best",)


@pytest.mark.parametrize(
    ("up", "down"),
    list(itertools.permutations(BASE, 2)),
    ids="-".join,
)
def test_whoever_pays_for_what_it_gains_is_not_dominated(up, down):
    signs = dict.fromkeys(BASE, 0.05) | dict.fromkeys(COSTS, -0.1)
    traded = BASE | {up: BASE[up] + signs[up], down: BASE[down] - signs[down]}
    pair = [candidate("base", **BASE), candidate("traded", **traded)]
    assert set(comparison.frontier(pair)) == {"base", "traded"}


def test_equals_do_not_push_each_other_out():
    pair = [candidate("one", **BASE), candidate("other", **BASE)]
    assert comparison.frontier(pair) == ("one", "other")


def test_nothing_proven_counts_as_zero():
    pair = [candidate("proven", **BASE), candidate("unproven", **BASE | {"certified": None})]
    assert comparison.frontier(pair) == ("proven",)


def test_groups_that_were_not_compared_count_as_treated_as_differently_as_can_be():
    plain = {key: value for key, value in BASE.items() if key != "unequal"}
    pair = [candidate("compared", **BASE), candidate("not-compared", **plain)]
    assert comparison.frontier(pair) == ("compared",)


def test_training_without_a_budget_counts_as_having_told_everything():
    spending = {key: value for key, value in BASE.items() if key not in ("epsilon", "delta")}
    vast = BASE | {"epsilon": 1e9}
    pair = [candidate("budgeted", **vast), candidate("without", **spending)]
    assert comparison.frontier(pair) == ("budgeted",)
    both = [candidate("one", **spending), candidate("other", **spending)]
    assert comparison.frontier(both) == ("one", "other")


def test_an_attack_that_tells_few_rows_makes_nobody_better():
    pair = [
        candidate("told", **BASE, membership=0.9),
        candidate("untold", **BASE, membership=0.5),
    ]
    assert comparison.frontier(pair) == ("told", "untold")


def test_the_frontier_begins_with_the_most_robust():
    rows = [candidate("low", 0.99, 0.1), candidate("high", 0.8, 0.7), candidate("mid", 0.9, 0.4)]
    assert comparison.frontier(rows) == ("high", "mid", "low")


def test_of_many_candidates_exactly_those_are_left_that_nobody_dominates():
    grid = [
        candidate(f"c{i}", clean, robust)
        for i, (clean, robust) in enumerate(itertools.product((0.1, 0.5, 0.9), repeat=2))
    ]
    assert comparison.frontier(grid) == ("c8",)


@pytest.mark.parametrize(
    ("verdicts", "failed", "status"),
    [
        (["passed", "failed"], False, 0),
        (["failed", "unmeasured"], False, 1),
        (["passed"], True, 3),
        ([], True, 3),
    ],
)
def test_the_exit_status_says_whether_any_could_be_promoted(verdicts, failed, status):
    rows = tuple(
        candidate(f"c{i}", 0.9, 0.5, findings=(finding(Verdict(verdict)),))
        for i, verdict in enumerate(verdicts)
    )
    found = Comparison(
        model="tiny",
        metric="auc",
        eps=0.1,
        norm="Linf",
        basis="0" * 64,
        commit="abc",
        compared_at="2026-06-01T12:00:00+00:00",
        candidates=rows,
        failed=(Failed(name="lost", reason="why"),) if failed else (),
        frontier=comparison.frontier(rows),
    )
    assert found.exit_code == status


@pytest.mark.parametrize(
    ("candidates", "words"),
    [
        ([{"name": "one"}], "at least 2"),
        ([{"name": "one"}, {"name": "one", "training": {"epochs": 2}}], "named twice"),
        ([{"name": "one"}, {"name": "two"}], "trained alike"),
        ([{"name": "One"}, {"name": "two"}], "pattern"),
        ([{"name": "a..b"}, {"name": "two"}], "pattern"),
        ([{"name": "one", "trainig": {}}, {"name": "two"}], "Extra inputs"),
    ],
    ids=["alone", "same-name", "same-training", "capital", "dots", "misspelt"],
)
def test_a_section_that_compares_nothing_is_refused(candidates, words):
    with pytest.raises(ValidationError, match=words):
        Comparing.model_validate({"candidates": candidates})


def written(tmp_path, training):
    document = yaml.safe_load(TEXT)
    other = {"name": "as-it-is"}
    document["tiny"]["compare"] = {"candidates": [other, {"name": "varied", "training": training}]}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"defense": {"recipe": "trades"}}, r"candidates\.1 \(varied\): tiny\.training\.defense\."),
        (
            {"epocs": 2},
            r"epocs is not a known key; did you mean tiny\.training\.epochs",
        ),
        ({"epochs": 0}, r"tiny\.training\.epochs = 0: Input should be greater than 0"),
    ],
    ids=["half-a-recipe", "misspelt", "out-of-range"],
)
def test_a_candidate_that_cannot_be_trained_is_refused_with_the_file(tmp_path, training, words):
    with pytest.raises(ParamsError, match=words):
        params.load("tiny", written(tmp_path, training))


def test_a_recipe_takes_nothing_over_from_the_one_it_replaces(tmp_path):
    loaded = params.load("tiny", written(tmp_path, {"defense": {"recipe": "standard"}}))
    plain, varied = (loaded.varied(one).training for one in loaded.compare.candidates)
    assert plain == loaded.training
    assert varied.defense.model_dump() == {"recipe": "standard"}
    assert varied.architecture == loaded.training.architecture


def test_the_section_is_no_part_of_a_run(tmp_path):
    with_it = params.load("tiny", written(tmp_path, {"epochs": 2}))
    without = params.load("tiny", TINY / "params.yaml")
    assert "compare" not in with_it.model_dump()
    assert with_it.model_dump() == without.model_dump()
    assert all(with_it.digest(stage) == without.digest(stage) for stage in params.STAGES)
