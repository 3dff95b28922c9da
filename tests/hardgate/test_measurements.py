"""Names are paths of words that MLflow accepts."""

import re

import pytest

from hardgate import measurements


@pytest.mark.parametrize(
    "name",
    [
        measurements.robust("apgd-ce", "auc"),
        measurements.curve(0.25),
        measurements.corruption("fog", 5),
        measurements.shift("subgroup EDUCATION <5 or 5/6", "auc"),
        measurements.corruption_error("fog"),
        measurements.queries("sparse-rs", 500),
        measurements.difference("AGE", "under_attack", "equalized_odds"),
        measurements.group_rate("Größe (cm)", "clean", "<5 years/old", "accuracy", small=True),
    ],
)
def test_mlflow_takes_every_name(name):
    assert re.fullmatch(r"[/\w.\- :]+", name)


def test_words_from_outside_stay_apart_and_cannot_climb():
    assert measurements.word("a/b") != measurements.word("a_b")
    assert "/" not in measurements.word("../../x")
    assert measurements.robust("worst/case", "auc") != measurements.robust("worst_case", "auc")
    assert measurements.word("")


def test_a_small_group_is_named_as_one():
    names = [
        measurements.group_rate("SEX", "clean", "man", "accuracy", small=small)
        for small in (False, True)
    ]
    assert names == [
        "fairness/SEX/clean/group/man/accuracy",
        "fairness/SEX/clean/small_group/man/accuracy",
    ]
