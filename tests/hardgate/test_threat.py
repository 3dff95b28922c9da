from __future__ import annotations

import pytest

from hardgate.threat import parse_relation


@pytest.mark.parametrize(
    ("text", "weights", "bound"),
    [
        ("a <= b", {"a": 1, "b": -1}, 0),
        ("a >= 3", {"a": -1}, -3),
        ("-2 * a + 1 <= b / 4", {"a": -2, "b": -0.25}, -1),
        ("a * -0.5 <= (b - 2) * 3", {"a": -0.5, "b": -3}, -6),
        ("`paid in June` <= -`x.y`", {"paid in June": 1, "x.y": 1}, 0),
        ("a + b - a <= 1", {"b": 1}, 1),
    ],
)
def test_a_relation_is_read_as_a_linear_inequality(
    text: str, weights: dict[str, float], bound: float
) -> None:
    relation = parse_relation(text)
    assert relation.weights == weights
    assert relation.bound == bound


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a < b",
        "a <= b <= c",
        "a * b <= 1",
        "1 / a <= 2",
        "a / 0 <= 1",
        "1 <= 2",
        "a <=",
        "f(a) <= 1",
    ],
)
def test_what_is_not_one_linear_inequality_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"relation|linear|exactly one|names no|may hold"):
        parse_relation(text)
