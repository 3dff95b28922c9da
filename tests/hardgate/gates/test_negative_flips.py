"""A better average does not excuse what is lost; not knowing the champion is no excuse either."""

import pytest

from hardgate import statistics
from hardgate.gates.negative_flips import NegativeFlipsGate
from hardgate.records import Verdict

GATES = {
    "clean": NegativeFlipsGate(
        kind="negative_flips", under_attack=False, bound=0.05, min_samples=100
    ),
    "under_attack": NegativeFlipsGate(
        kind="negative_flips", under_attack=True, bound=0.05, min_samples=100
    ),
}
NONE = statistics.exact(0.0, 1000)
FEW, MANY = statistics.wilson(20, 1000), statistics.wilson(45, 1000)
EXISTS, NOBODY = statistics.exact(1, 1), statistics.exact(0, 1)


@pytest.mark.parametrize("situation", GATES)
@pytest.mark.parametrize(
    ("exists", "flips", "verdict", "words"),
    [
        (EXISTS, FEW, Verdict.PASSED, "0.02"),
        (EXISTS, MANY, Verdict.FAILED, "0.045"),  # the value is below the bound, its end is not
        (NOBODY, NONE, Verdict.PASSED, "negative_flips"),
        (EXISTS, None, Verdict.UNMEASURED, "holds no negative_flips"),
        (NOBODY, None, Verdict.UNMEASURED, "holds no negative_flips"),
        (None, FEW, Verdict.UNMEASURED, "holds no champion/exists"),
        (statistics.exact(0.5, 1), FEW, Verdict.UNMEASURED, "neither 0 nor 1"),
        (EXISTS, statistics.wilson(0, 99), Verdict.UNMEASURED, "100 are needed"),
    ],
    ids=["few", "many", "nobody", "unmeasured", "unsaid", "unknown", "half", "too few samples"],
)
def test_the_verdict(situation, exists, flips, verdict, words):
    evidence = {"champion/exists": exists, f"negative_flips/{situation}": flips}
    finding = GATES[situation].judge({name: each for name, each in evidence.items() if each})
    assert finding.verdict is verdict
    assert words in finding.message
    assert finding.gate == f"negative_flips/{situation}"


def test_flips_of_the_other_kind_are_no_answer():
    evidence = {"champion/exists": EXISTS, "negative_flips/clean": FEW}
    assert GATES["under_attack"].judge(evidence).verdict is Verdict.UNMEASURED
