"""A suite must have asked something, and nothing of it may be broken."""

import pytest

from hardgate import statistics
from hardgate.gates.data_contract import DataContractGate
from hardgate.records import Verdict

GATE = DataContractGate(kind="data_contract", min_samples=100)


@pytest.mark.parametrize(
    ("expectations", "failed", "verdict"),
    [
        (30, 0, Verdict.PASSED),
        (30, 1, Verdict.FAILED),
        (30, -1, Verdict.UNMEASURED),
        (0, 0, Verdict.UNMEASURED),
        (None, 0, Verdict.UNMEASURED),
        (30, None, Verdict.UNMEASURED),
    ],
)
def test_the_suite_held(expectations, failed, verdict):
    counts = {"data/expectations": expectations, "data/expectations_failed": failed}
    found = {
        name: statistics.exact(count, 500) for name, count in counts.items() if count is not None
    }
    assert GATE.judge(found).verdict is verdict


def test_few_rows_are_unmeasured():
    found = {
        "data/expectations": statistics.exact(30, 99),
        "data/expectations_failed": statistics.exact(0, 99),
    }
    assert GATE.judge(found).verdict is Verdict.UNMEASURED
