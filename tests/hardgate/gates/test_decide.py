"""A policy: every gate speaks, an empty one is refused, its digest is its meaning."""

import pytest
from pydantic import TypeAdapter, ValidationError

from hardgate import gates, statistics
from hardgate.errors import ContractError, ParamsError
from hardgate.gates.questions import gravest
from hardgate.gates.robust_accuracy import RobustAccuracyGate
from hardgate.gates.robust_auc import RobustAucGate
from hardgate.records import Verdict

ACCURACY = RobustAccuracyGate(
    kind="robust_accuracy", attack="worst_case", bound=0.8, min_samples=100
)
AUC = RobustAucGate(kind="robust_auc", attack="worst_case", bound=0.7, min_samples=100)
EVIDENCE = {
    "robust/worst_case/accuracy": statistics.wilson(900, 1000),
    "robust/worst_case/auc": statistics.exact(0.6, 1000),
}


def test_every_gate_speaks_in_the_order_of_the_policy():
    findings = gates.decide([AUC, ACCURACY], EVIDENCE)
    assert [finding.gate for finding in findings] == [
        "robust_auc/worst_case",
        "robust_accuracy/worst_case",
    ]
    assert [finding.verdict for finding in findings] == [Verdict.FAILED, Verdict.PASSED]


def test_without_evidence_nothing_passes():
    assert {f.verdict for f in gates.decide([AUC, ACCURACY], {})} == {Verdict.UNMEASURED}


def test_an_empty_policy_is_refused_and_not_waved_through():
    with pytest.raises(ParamsError, match="policy is empty"):
        gates.decide([], EVIDENCE)
    with pytest.raises(ValidationError):
        TypeAdapter(gates.Policy).validate_python([])


def test_another_attack_is_another_question():
    pgd = ACCURACY.model_copy(update={"attack": "pgd"})
    findings = gates.decide([ACCURACY, pgd], EVIDENCE)
    assert [finding.verdict for finding in findings] == [Verdict.PASSED, Verdict.UNMEASURED]


def test_a_gate_that_asks_nothing_is_a_mistake():
    with pytest.raises(ContractError, match="must ask something"):
        gravest([])
