"""What a report says of earlier versions."""

from dataclasses import replace

from hardgate import reporting, statistics
from hardgate.records import Ancestor
from hardgate.reporting import ancestry
from tests.hardgate.reporting import examples

FIRST = Ancestor(version="1", model_sha256="a" * 64)
SECOND = Ancestor(version="2", model_sha256="b" * 64)
NOBODY = {"champion/exists": statistics.exact(0, 1)}
SOMEBODY = {
    "champion/exists": statistics.exact(1, 1),
    "negative_flips/clean": statistics.wilson(12, 1000),
    "regression/inputs": statistics.exact(40, 1),
    "regression/set_aside": statistics.exact(3, 1),
    "regression/candidate_error": statistics.wilson(10, 40),
}


def measured(found):
    run = examples.table_run()
    return replace(run, measured={**run.measured, **found})


def test_a_model_from_scratch_says_so_and_has_nobody_to_lose_against():
    run = measured(NOBODY)
    assert ancestry.facts(run) == (("Training began", "from scratch"),)
    assert ancestry.losses(run) is None
    assert "What this version loses" not in reporting.render(run)


def test_a_start_that_was_asked_for_and_not_there_is_said():
    run = measured(NOBODY)
    training = run.params.training.model_copy(update={"start": "champion"})
    params = run.params.model_copy(update={"training": training})
    assert ancestry.facts(replace(run, params=params)) == (
        ("Training began", "from scratch; there was no champion yet"),
    )


def test_versions_are_named_and_losses_listed_with_what_was_not_measured():
    run = measured(SOMEBODY)
    run = replace(
        run,
        candidate=run.candidate.model_copy(update={"start": SECOND}),
        corpus=run.corpus.model_copy(update={"earlier": (SECOND, FIRST)}),
    )
    facts = dict(ancestry.facts(run))
    assert facts["Training began"] == "with version 2 (bbbbbbbbbbbb…)"
    assert "version 2 (bbbbbbbbbbbb…) and version 1" in facts["Samples were made against"]
    kept = facts["Inputs that fooled earlier versions"]
    assert kept == "40; 3 more no longer fit data or threat"
    losses = ancestry.losses(run)
    assert losses is not None
    assert [row[1] for row in losses.rows] == ["0.012", "not measured", "0.250", "not measured"]
    page = reporting.render(run)
    for said in (*facts.values(), losses.rows[0][0], "1,000"):
        assert said in page
