"""The interval of a difference of shares is the published one."""

import pytest

from hardgate import statistics


@pytest.mark.parametrize(
    ("first", "second", "lower", "upper"),
    [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090)],
)
def test_newcombe_s_own_examples(first, second, lower, upper):
    found = statistics.difference(statistics.wilson(*first), statistics.wilson(*second))
    assert found.lower == pytest.approx(lower, abs=1e-4)
    assert found.upper == pytest.approx(upper, abs=1e-4)
    assert found.samples == min(first[1], second[1])


def test_the_other_way_round_is_the_same_with_the_signs_turned():
    shares = statistics.wilson(3, 40), statistics.wilson(20, 90)
    there, back = statistics.difference(*shares), statistics.difference(*reversed(shares))
    assert (there.lower, there.upper) == pytest.approx((-back.upper, -back.lower))
